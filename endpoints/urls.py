"""Addresses of the endpoints."""

from django.urls import path

from endpoints import alarm_views, orphan_views, views

app_name = "endpoints"
urlpatterns = [
    path("", views.endpoint_list, name="list"),
    path("torn-down/", views.torn_down, name="torn-down"),
    path("teardown/", views.teardown_of_many, name="teardown-of-many"),
    path("orphans/", orphan_views.orphan_list, name="orphans"),
    path("orphans/live/", orphan_views.orphans_live, name="orphans-live"),
    path("orphans/delete/", orphan_views.delete, name="delete-orphans"),
    path("orphans/adopt/", orphan_views.adopt, name="adopt-orphans"),
    path("new/", views.new_endpoint, name="new"),
    path("<int:pk>/", views.overview, name="detail"),
    path("<int:pk>/models/", views.servable, name="models"),
    path("<int:pk>/use/", views.use, name="use"),
    path("<int:pk>/metrics/", views.metrics, name="metrics"),
    path("<int:pk>/logs/", views.logs, name="logs"),
    path("<int:pk>/alarms/", views.alarms_tab, name="alarms"),
    path("<int:pk>/alarms/new/", alarm_views.new_alarm, name="new-alarm"),
    path("<int:pk>/alarms/<int:alarm_pk>/", alarm_views.alarm, name="alarm"),
    path("<int:pk>/alarms/<int:alarm_pk>/remove/", alarm_views.remove_alarm, name="remove-alarm"),
    path("<int:pk>/alarms/<int:alarm_pk>/test/", alarm_views.test_alarm, name="test-alarm"),
    path("<int:pk>/configuration/", views.configuration, name="configuration"),
    path("<int:pk>/revisions/", views.revisions, name="revisions"),
    path("<int:pk>/change/", views.change, name="change"),
    path("<int:pk>/weights/", views.weights, name="weights"),
    path("<int:pk>/end-date/", views.end_date, name="end-date"),
    path("<int:pk>/idle/", views.idle, name="idle"),
    path("<int:pk>/idle/postpone/", views.postpone_idle, name="postpone-idle"),
    path("<int:pk>/scaling/", views.scaling_of, name="scaling"),
    path("<int:pk>/scaling/off/", views.scaling_off, name="scaling-off"),
    path("<int:pk>/hours/", views.hours, name="hours"),
    path("<int:pk>/pause/", views.pause, name="pause"),
    path("<int:pk>/resume/", views.resume, name="resume"),
    path("<int:pk>/extend/", views.extend, name="extend"),
    path("<int:pk>/accept/", views.accept, name="accept"),
    path("<int:pk>/put-back/", views.put_back, name="put-back"),
    path("<int:pk>/postpone/", views.postpone, name="postpone"),
    path("<int:pk>/history/", views.history, name="history"),
    path("<int:pk>/live/", views.endpoint_live, name="live"),
    path("<int:pk>/check/", views.check, name="check"),
    path("<int:pk>/teardown/", views.teardown, name="teardown"),
]
