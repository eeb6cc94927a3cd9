"""Addresses."""

app_name = "endpoints"
urlpatterns: list[object] = []
