"""Addresses of people; log-in, log-out, own password and tokens are in mmeportal/urls.py."""

from django.urls import path

from accounts import group_pages, people, token_pages

app_name = "accounts"
urlpatterns = [
    path("people/", people.people, name="people"),
    path("people/invite/", people.invite, name="invite"),
    path("people/groups/", group_pages.group_list, name="groups"),
    path("people/groups/<str:name>/", group_pages.group, name="group"),
    path("people/groups/<str:name>/join/", group_pages.join, name="join-group"),
    path("people/groups/<str:name>/leave/", group_pages.leave, name="leave-group"),
    path("people/groups/<str:name>/delete/", group_pages.delete, name="delete-group"),
    path("people/<int:pk>/", people.person, name="person"),
    path("people/<int:pk>/details/", people.set_details, name="details"),
    path("people/<int:pk>/withdraw/", people.withdraw, name="withdraw"),
    path("people/<int:pk>/superuser/", people.set_superuser, name="superuser"),
    path("people/<int:pk>/role/", people.set_role, name="role"),
    path("people/<int:pk>/active/", people.set_active, name="active"),
    path("people/<int:pk>/link/", people.make_link, name="link"),
    path("people/<int:pk>/link/revoke/", people.revoke_link, name="revoke-link"),
    path("people/<int:pk>/unlock/", people.unlock, name="unlock"),
    path(
        "people/<int:pk>/tokens/<slug:id>/revoke/",
        token_pages.revoke_of_person,
        name="revoke-token-of-person",
    ),
    path("welcome/<str:secret>/", people.welcome, name="welcome"),
]
