"""Addresses."""

app_name = "invoke"
urlpatterns: list[object] = []
