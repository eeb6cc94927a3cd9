"""Addresses of webhooks."""

from django.urls import path

from notices import views

app_name = "notices"
urlpatterns = [
    path("", views.webhook_list, name="list"),
    path("new/", views.new, name="new"),
    path("<slug:uid>/", views.webhook, name="webhook"),
    path("<slug:uid>/test/", views.test, name="test"),
    path("<slug:uid>/rotate/", views.rotate, name="rotate"),
    path("<slug:uid>/pause/", views.set_paused, name="pause"),
    path("<slug:uid>/remove/", views.remove, name="remove"),
    path("<slug:uid>/deliveries/<slug:message>/", views.delivery, name="delivery"),
    path("<slug:uid>/deliveries/<slug:message>/redeliver/", views.redeliver, name="redeliver"),
]
