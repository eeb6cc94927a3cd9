"""The endpoint pages: who may do what, what they say, and that looking changes nothing."""

import html

import pytest
from django.urls import reverse

from activity.models import Event
from core import clock, errors
from core.worker_watch import NO_REDIS, NO_WORKER
from endpoints import reconciler
from endpoints.forms import NewEndpointForm
from endpoints.models import Endpoint
from tests.html import one_line

ROLES = ("viewer", "operator", "admin")
MAY = {
    "list": ("get", ROLES),
    "torn-down": ("get", ROLES),
    "detail": ("get", ROLES),
    "models": ("get", ROLES),
    "use": ("get", ROLES),
    "configuration": ("get", ROLES),
    "history": ("get", ROLES),
    "live": ("get", ROLES),
    "new": ("get", ("operator", "admin")),
    "teardown": ("get", ("admin",)),
    "check": ("post", ("operator", "admin")),
}


def url(name, endpoint):
    of_none = name in ("list", "torn-down", "new")
    return reverse(f"endpoints:{name}", args=[] if of_none else [endpoint.pk])


@pytest.mark.not_quick
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", MAY)
def test_who_may_open_what(serving, client_of, role, name):
    method, roles = MAY[name]
    response = getattr(client_of(role), method)(url(name, serving))
    assert response.status_code == ((302 if name == "check" else 200) if role in roles else 403)


@pytest.mark.parametrize("name", MAY)
def test_who_is_not_logged_in_is_sent_to_the_login(serving, client, name):
    response = client.get(url(name, serving))
    assert response.status_code == 302
    assert response.url.startswith("/login/")


@pytest.mark.parametrize(
    ("role", "name"), [("viewer", "new"), ("viewer", "teardown"), ("operator", "teardown")]
)
def test_who_may_not_cannot_post_either(serving, client_of, role, name):
    data = {
        "name": "other",
        "instance_type": "ml.m5.large",
        "instance_count": 1,
        "typed_name": "demo",
    }
    assert client_of(role).post(url(name, serving), data).status_code == 403
    assert Endpoint.objects.count() == 1
    serving.refresh_from_db()
    assert serving.wanted == "present"


@pytest.mark.not_quick
@pytest.mark.parametrize("role", ROLES)
def test_who_may_not_sees_no_button(serving, client_of, role):
    client = client_of(role)
    detail = client.get(url("detail", serving)).content.decode()
    listed = client.get(url("list", serving)).content.decode()
    assert (url("teardown", serving) in detail) == (role == "admin")
    assert (url("new", serving) in listed) == (role != "viewer")
    assert f"{reverse('invocations:page')}?endpoint={serving.pk}" in detail


@pytest.mark.not_quick
def test_an_empty_list_says_what_to_do(db, client_of):
    page = client_of("operator").get("/endpoints/").content.decode()
    assert "No endpoint is running" in page
    assert reverse("endpoints:new") in page
    page = client_of("viewer").get("/endpoints/").content.decode()
    assert reverse("endpoints:new") not in page
    assert "Ask an operator" in page


def test_creating_one_leads_to_its_page(db, account, client_of):
    data = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": 2}
    response = client_of("operator").post("/endpoints/new/", data)
    endpoint = Endpoint.objects.get()
    assert response.url == endpoint.get_absolute_url()
    assert endpoint.created_by.username == "operator-user"
    assert (endpoint.name, endpoint.instance_count) == ("demo", 2)
    assert Event.objects.get(action="endpoint.requested").actor_name == "operator-user"


def test_the_form_shows_what_is_preset(db, client_of, settings):
    page = client_of("operator").get("/endpoints/new/").content.decode()
    for preset in (settings.CONTAINER_IMAGE, settings.EXECUTION_ROLE_ARN, settings.MODEL_BUCKET):
        assert preset in page


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "bad name!", "begin and end with a letter or digit"),
        ("name", "", "required"),
        ("instance_type", "ml.huge", "not one of the available choices"),
        ("instance_count", "0", "greater than or equal to 1"),
        ("instance_count", "99", "from 1 to 10"),
    ],
)
def test_bad_input_is_told_in_place_and_kept(db, account, client_of, field, value, says):
    data = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": "2"} | {field: value}
    response = client_of("operator").post("/endpoints/new/", data)
    page = html.unescape(response.content.decode())
    assert response.status_code == 400
    assert says in page
    assert f'value="{data["name"]}"' in page or not data["name"]
    assert not Endpoint.objects.exists()


def test_a_preset_that_is_wrong_is_told(db, account, client_of, settings):
    settings.CONTAINER_IMAGE = "i" * 300
    data = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": 2}
    response = client_of("operator").post("/endpoints/new/", data)
    assert response.status_code == 400
    page = html.unescape(response.content.decode())
    assert "image: Ensure this value has at most 255 characters" in page
    assert 'value="demo"' in page


def test_an_account_that_cannot_be_asked_is_told(db, account, client_of):
    account.failures["describe_endpoint"] = [errors.Denied("no sagemaker:DescribeEndpoint")]
    data = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": 2}
    response = client_of("operator").post("/endpoints/new/", data)
    assert "no sagemaker:DescribeEndpoint" in response.content.decode()
    assert not Endpoint.objects.exists()


@pytest.mark.not_quick
def test_the_tabs_show_states_names_arns_and_the_log(serving, client_of, make_version):
    make_version()
    client = client_of("viewer")
    arn = "arn:aws:sagemaker:ap-northeast-2:123456789012"
    for name, texts in {
        "detail": ("InService", "The endpoint demo is in service.", "1 version"),
        "models": ("digits v1", "digits_v1.tar.gz"),
        "use": ('EndpointName="demo"', 'TargetModel="digits_v1.tar.gz"'),
        "configuration": (
            f"{arn}:model/demo-r1",
            f"{arn}:endpoint-config/demo-r1",
            f"{arn}:endpoint/demo",
        ),
        "history": ("Requested the endpoint demo with", "The endpoint demo is in service."),
    }.items():
        page = html.unescape(client.get(url(name, serving)).content.decode())
        for text in texts:
            assert text in page, (name, text)
        for tab in ("detail", "models", "use", "configuration", "history"):
            assert f'href="{url(tab, serving)}"' in page, (name, tab)


@pytest.mark.not_quick
def test_the_page_polls_until_it_is_settled(endpoint, settle, client_of):
    client = client_of("viewer")
    live = url("live", endpoint)
    for name, tab in {"detail": "overview", "models": "models", "use": "use"}.items():
        polls = f'hx-get="{live}?tab={tab}" hx-trigger="every 1s"'
        assert polls in one_line(client.get(url(name, endpoint)))
        assert polls in one_line(client.get(f"{live}?tab={tab}"))
    assert 'id="use"' not in one_line(client.get(f"{live}?tab=use"))
    settle(endpoint)
    for tab in ("overview", "models", "use"):
        part = one_line(client.get(f"{live}?tab={tab}"))
        assert "every 1s" not in part
        assert f'hx-get="{live}?tab={tab}&amp;rest=1" hx-trigger="every 20s, seen"' in part
        shown = "latest" if tab == "overview" else tab
        assert f'id="{shown}" data-in-place hx-swap-oob="true"' in part
    for tab in ("metrics", "logs"):  # which ask by themselves
        part = one_line(client.get(f"{live}?tab={tab}"))
        assert f'id="{tab}"' not in part


@pytest.mark.not_quick
def test_the_page_of_a_settled_endpoint_asks_seldom_also_for_what_is_beside_the_part(
    serving, client_of, settle
):
    client = client_of("viewer")
    live = url("live", serving)
    asks = f'hx-get="{live}?tab=models&amp;q=cat&amp;rest=1" hx-trigger="every 20s, seen"'
    # In the order of the address, as the page has it.
    page = one_line(client.get(f"{url('models', serving)}?q=cat"))
    assert f'hx-get="{live}?q=cat&amp;tab=models&amp;rest=1" hx-trigger="every 20s, seen"' in page
    part = one_line(client.get(f"{live}?tab=models&q=cat&rest=1"))
    assert asks in part
    assert 'id="models" data-in-place hx-swap-oob="true"' in part
    Endpoint.objects.update(wanted=Endpoint.Wanted.ABSENT)
    begun = one_line(client.get(f"{live}?tab=models&q=cat&rest=1"))
    assert f'hx-get="{live}?tab=models&amp;q=cat" hx-trigger="every 1s"' in begun
    assert "hx-swap-oob" not in begun
    Endpoint.objects.update(gone_at=clock.now())
    assert "hx-trigger" not in one_line(client.get(f"{live}?tab=models&q=cat"))


def test_the_part_that_is_polled_shows_the_page_of_the_table_that_is_open(
    serving, client_of, make_version
):
    make_version("cats")
    make_version("dogs")
    part = one_line(client_of("viewer").get(f"{url('live', serving)}?tab=models&q=cat"))
    assert "cats v1" in part
    assert "dogs v1" not in part


@pytest.mark.not_quick
def test_all_that_it_can_serve_is_shown_searched_and_sorted(serving, client_of, make_version):
    """The page once showed 50 of 151 versions and called them every version."""
    for number in range(1, 151):
        make_version("shapes", number)
    make_version("animals", 1)
    make_version("elsewhere", 1, bucket="another-bucket")
    client = client_of("viewer")
    shown = set()
    for page in (1, 2, 3, 4):
        answer = client.get(f"{url('models', serving)}?page={page}&sort=version")
        rows = answer.context["table"].rows
        shown |= {str(row) for row in rows}
        assert len(rows) == (50 if page < 4 else 1)
        assert answer.context["versions"] == 151
    assert len(shown) == 151
    assert "elsewhere v1" not in shown
    found = client.get(f"{url('models', serving)}?q=animal").context["table"]
    assert [str(row) for row in found.rows] == ["animals v1"]
    newest = client.get(f"{url('models', serving)}?show=newest&sort=version").context["table"]
    assert [str(row) for row in newest.rows] == ["animals v1", "shapes v150"]
    choices = client.get(url("use", serving)).context["choices"]
    assert len(choices) == 151


@pytest.mark.not_quick
def test_the_examples_call_the_newest_version_or_the_one_chosen(serving, client_of, make_version):
    first = make_version("zebra", 1)
    make_version("animals", 7)
    client = client_of("viewer")
    assert "--target-model animals_v7.tar.gz" in client.get(url("use", serving)).content.decode()
    chosen = client.get(f"{url('use', serving)}?version={first.pk}").content.decode()
    assert "--target-model zebra_v1.tar.gz" in chosen
    for bad in ("x", "0", "999999", "1%00"):
        page = client.get(f"{url('use', serving)}?version={bad}").content.decode()
        assert "--target-model animals_v7.tar.gz" in page


@pytest.mark.not_quick
def test_looking_changes_nothing(endpoint, account, client_of):
    client = client_of("admin")
    before = Endpoint.objects.values().get(), Event.objects.count(), account.calls
    for name in ("list", "new", "detail", "live", "teardown"):
        client.get(url(name, endpoint))
    assert (Endpoint.objects.values().get(), Event.objects.count(), account.calls) == before
    assert client.get(url("check", endpoint)).status_code == 405


@pytest.mark.not_quick
def test_teardown_wants_the_name_and_lists_what_goes(serving, account, client_of, settle):
    client = client_of("admin")
    page = client.get(url("teardown", serving)).content.decode()
    order = [page.index(f"<code>{name}</code>") for name in ("demo", "demo-r1")]
    assert order == sorted(order)
    assert "Every archive in" in page
    response = client.post(url("teardown", serving), {"typed_name": "dem"})
    assert response.status_code == 400
    assert "Type the name of the endpoint" in response.content.decode()
    response = client.post(url("teardown", serving), {"typed_name": "demo"})
    assert response.url == serving.get_absolute_url()
    for tab in ("detail", "use"):
        assert "Teardown requested by admin-user." in one_line(client.get(url(tab, serving)))
    assert settle(serving).gone_at is not None
    page = client.get(url("detail", serving)).content.decode()
    assert "costs nothing any more" in page
    settings_page = client.get(url("configuration", serving)).content.decode()
    assert settings_page.count('data-state="gone"') >= 6
    assert url("teardown", serving) not in page
    assert client.get(url("teardown", serving)).status_code == 302
    assert "demo" not in [str(row) for row in client.get("/endpoints/").context["table"].rows]
    assert url("torn-down", serving) in client.get("/endpoints/").content.decode()
    assert serving.get_absolute_url() in client.get(url("torn-down", serving)).content.decode()


@pytest.mark.not_quick
def test_each_tab_of_the_lists_says_how_many_were_torn_down(client_of):
    Endpoint.objects.create(name="gone", state=Endpoint.State.GONE, gone_at=clock.now())
    client = client_of("admin")
    for path in ("", "torn-down/", "torn-down/?q=other", "orphans/", "cost/"):
        tabs = client.get(f"/endpoints/{path}").context["tabs"]
        assert [tab.count for tab in tabs if tab.url == "/endpoints/torn-down/"] == [1], path


def test_forms_need_the_csrf_token(serving, user_in):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(user_in("admin"))
    for name in ("new", "teardown", "check"):
        assert client.post(url(name, serving), {"typed_name": "demo"}).status_code == 403


@pytest.mark.not_quick
def test_a_failure_is_shown_with_what_to_do(endpoint, account, settle, client_of):
    account.failures["create_model"] = [errors.Denied("no sagemaker:CreateModel")]
    settle(endpoint)
    page = client_of("operator").get(url("detail", endpoint)).content.decode()
    assert "no sagemaker:CreateModel" in page
    assert "retries every five minutes" in page
    assert url("check", endpoint) in page
    client_of_viewer = client_of("viewer").get(url("detail", endpoint)).content.decode()
    assert url("check", endpoint) not in client_of_viewer


def test_try_now_makes_it_due(endpoint, account, settle, client_of):
    account.failures["create_model"] = [errors.Denied("no sagemaker:CreateModel")]
    settle(endpoint)
    assert not reconciler.advance(endpoint.pk)
    client_of("operator").post(url("check", endpoint))
    assert reconciler.advance(endpoint.pk)


def test_it_says_that_objects_which_came_by_other_ways_were_not_validated(
    serving, make_version, client_of
):
    make_version()
    page = one_line(client_of("viewer").get(url("models", serving)))
    assert "put into the store in other ways are served too" in page


@pytest.mark.parametrize(
    ("most", "count", "valid"), [(10, 10, True), (10, 11, False), (3, 4, False)]
)
def test_the_form_itself_refuses_more_instances_than_the_settings_allow(
    db, settings, most, count, valid
):
    settings.MAX_INSTANCES = most
    form = NewEndpointForm(
        {"name": "demo", "instance_type": settings.INSTANCE_TYPES[0], "instance_count": count}
    )
    assert form.is_valid() == valid
    assert form.fields["instance_count"].widget.attrs["max"] == most
    if not valid:
        assert form.errors["instance_count"] == [f"Choose a number from 1 to {most}."]


@pytest.mark.not_quick
@pytest.mark.parametrize("local", [True, False])
def test_that_it_costs_money_is_said_only_where_it_does(
    serving, settle, client_of, monkeypatch, local
):
    address = "http://127.0.0.1:1" if local else ""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    for service in ("S3", "SAGEMAKER", "SAGEMAKER_RUNTIME"):
        monkeypatch.delenv(f"AWS_ENDPOINT_URL_{service}", raising=False)
    client = client_of("admin")
    assert ("It costs money on AWS" in one_line(client.get("/endpoints/new/"))) != local
    client.post(url("teardown", serving), {"typed_name": "demo"})
    assert settle(serving).gone_at is not None
    assert ("costs nothing any more" in one_line(client.get(url("detail", serving)))) != local


@pytest.mark.not_quick
def test_what_a_teardown_left_is_named(serving, account, settle, client_of):
    account.update_outside("demo", "theirs", model="another-model", count=1)
    client = client_of("admin")
    client.post(url("teardown", serving), {"typed_name": "demo"})
    assert settle(serving).gone_at is not None
    page = one_line(client.get(url("detail", serving)))
    assert "Not everything was deleted" in page
    assert "Configuration <code>theirs</code>" in page
    assert "costs nothing any more" not in page


@pytest.mark.not_quick
def test_why_it_stopped_is_said_in_the_readers_language(endpoint, account, settle, client_of):
    account.failures["create_model"] = [errors.Denied("no sagemaker:CreateModel")]
    settled = settle(endpoint)
    client = client_of("operator")
    page = client.get(url("detail", endpoint), headers={"accept-language": "ko"}).content.decode()
    assert "no sagemaker:CreateModel" in page  # what AWS said
    assert "AWS does not allow it" not in page
    assert "retries every five minutes" not in page
    assert settled.failure.startswith("AWS does not allow it: ")
    # The release before writes a text alone; rows from before have no code.
    for code in (settled.failure_code, None):
        Endpoint.objects.update(failure="An older text.", failure_code=code)
        page = client.get(url("detail", endpoint), headers={"accept-language": "ko"})
        assert "An older text." in page.content.decode()


@pytest.mark.not_quick
def test_a_part_that_asks_each_second_brings_it_and_is_otherwise_alone(client_of, monkeypatch):
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.CREATING)
    viewer, path = client_of("viewer"), reverse("endpoints:live", args=[endpoint.pk])
    for found in (NO_WORKER, NO_REDIS, ""):
        monkeypatch.setattr("core.context.WATCH.problem", lambda found=found: found)
        answer = viewer.get(path, headers={"HX-Request": "true"}).content.decode()
        assert 'hx-swap-oob="innerHTML"' in answer
        for sentence in (NO_WORKER, NO_REDIS):
            assert (str(sentence) in answer) == (sentence == found)
    # As the browser goes back: the page as a whole, which has one banner.
    page = viewer.get(endpoint.get_absolute_url()).content.decode()
    assert page.count('id="worker-problem"') == 1
