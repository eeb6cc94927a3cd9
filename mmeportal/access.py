"""Who may do what at which address: the site's addresses (mmeportal/urls.py) as one table.

tests/rules/test_access.py visits every address of the URL conf with every method, as everybody,
and holds what it finds against this table; an address without an entry here fails there.
"""

from dataclasses import dataclass

# Who is let in, each with those behind it. USER is logged in and has no role.
LEVELS = ANYBODY, USER, VIEWER, OPERATOR, ADMIN, SUPERUSER = (
    *("anybody", "user", "viewer", "operator", "admin", "superuser"),
)

#: What an address that wants a log-in answers to somebody without one: a redirect to the log-in
#: for GET, HEAD and OPTIONS; to all else, and to whoever asks for JSON or brings a token, 401,
#: which no program takes for success.
LED_TO_LOG_IN, UNAUTHORIZED = 302, 401

#: SQL queries that a page may need, those of session and user included, unless its entry says more.
QUERIES = 11


@dataclass(frozen=True)
class Access:
    """What one address answers.

    ``least``: who is let in; those below are refused. ``get``, ``post``: the status codes for whom
    is let in, of a request without arguments or body; empty: 405. HEAD goes with GET; nothing
    takes another method. ``refused``: the status for a user below ``least`` (the admin leads to
    its log-in, which refuses). ``own``: it shows whoever asks only what is their own; otherwise
    things belong to all, and whoever may see one may see those of others. ``call``: it is of a
    call or its picture: of somebody else's it is 404 for who does not see everybody's calls
    (invocations/seeing.py). ``leads_to_login``: it is a log-in that leads to the portal's, for
    whoever has none, by GET and POST.
    ``queries``: how many SQL queries the page may need, ``why`` it needs more than QUERIES.
    """

    least: str
    get: tuple[int, ...] = (200,)
    post: tuple[int, ...] = ()
    refused: int = 403
    own: bool = False
    call: bool = False
    leads_to_login: bool = False
    queries: int = QUERIES
    why: str = ""


def _admin(
    least: str,
    get: tuple[int, ...] = (200,),
    post: tuple[int, ...] = (),
    queries: int = QUERIES,
    why: str = "",
) -> Access:
    return Access(least, get, post, refused=302, queries=queries, why=why)


# By the name of the address, or its route where it has none. What follows a blank narrows an entry
# to one value of an argument.
ACCESS: dict[str, Access] = {
    # --- the site
    "home": Access(USER, queries=14, why="it asks every app what needs somebody"),
    "login": Access(ANYBODY, get=(200, 302), post=(400, 302)),
    "logout": Access(USER, get=(), post=(302,)),
    "password": Access(USER, post=(400,)),
    "status": Access(ADMIN),
    "search": Access(USER),
    "styleguide": Access(USER),  # 404 where the setting STYLEGUIDE is off
    "preferences": Access(USER, post=(400,), own=True),
    "mails": Access(VIEWER, get=(), post=(302,)),
    "tokens": Access(USER, post=(400,), own=True),
    "revoke-token": Access(USER, get=(), post=(302, 404)),  # 404: another one's
    "language": Access(ANYBODY, get=(), post=(400,)),
    "glossary": Access(USER),
    "problem": Access(ANYBODY, get=(200, 404)),
    "problems": Access(ANYBODY),
    "api-docs": Access(USER),
    "api-docs-try": Access(USER),
    "api-docs-tag": Access(USER, get=(200, 404)),  # 404: no such tag
    "hide-first-steps": Access(USER, get=(), post=(302,)),
    "show-first-steps": Access(USER, get=(), post=(302,)),
    # --- people
    "accounts:people": Access(ADMIN),
    "accounts:groups": Access(ADMIN, post=(422,)),
    "accounts:group": Access(ADMIN),
    "accounts:join-group": Access(ADMIN, get=(), post=(422,)),
    "accounts:leave-group": Access(ADMIN, get=(), post=(302,)),
    "accounts:delete-group": Access(ADMIN, get=(), post=(302,)),
    "accounts:invite": Access(ADMIN, post=(400,)),
    "accounts:person": Access(ADMIN),
    "accounts:details": Access(ADMIN, get=(), post=(400,)),
    "accounts:withdraw": Access(ADMIN, get=(), post=(302,)),
    "accounts:superuser": Access(ADMIN, get=(), post=(302,)),
    "accounts:role": Access(ADMIN, get=(), post=(400,)),
    "accounts:active": Access(ADMIN, get=(), post=(302,)),
    "accounts:link": Access(ADMIN, get=(), post=(200,)),
    "accounts:revoke-link": Access(ADMIN, get=(), post=(302,)),
    "accounts:unlock": Access(ADMIN, get=(), post=(302,)),
    "accounts:revoke-token-of-person": Access(ADMIN, get=(), post=(302,)),
    "accounts:welcome": Access(ANYBODY, get=(404,), post=(404,)),
    # --- webhooks
    "notices:list": Access(ADMIN),
    "notices:new": Access(ADMIN, post=(400,)),
    "notices:webhook": Access(ADMIN, post=(400,)),
    "notices:test": Access(ADMIN, get=(), post=(302,)),
    "notices:rotate": Access(ADMIN, get=(), post=(200,)),
    "notices:pause": Access(ADMIN, get=(), post=(302,)),
    "notices:remove": Access(ADMIN, get=(), post=(302,)),
    "notices:delivery": Access(ADMIN),
    "notices:redeliver": Access(ADMIN, get=(), post=(302,)),
    # --- models and versions
    "models_catalog:list": Access(VIEWER),
    "models_catalog:new": Access(OPERATOR, post=(422,)),
    "models_catalog:check-name": Access(OPERATOR),
    "models_catalog:plan": Access(OPERATOR, get=(), post=(200,)),
    "models_catalog:begin": Access(OPERATOR, get=(), post=(422,)),
    "models_catalog:same": Access(OPERATOR, get=(), post=(404, 415)),  # 404: another one's
    "models_catalog:model": Access(
        VIEWER, queries=12, why="versions, aliases, keys of metadata, test set and events"
    ),
    "models_catalog:describe": Access(OPERATOR, post=(302,)),
    "models_catalog:describe-version": Access(OPERATOR, post=(302,)),
    "models_catalog:upload": Access(OPERATOR, post=(422,)),
    "models_catalog:version": Access(VIEWER),
    "models_catalog:compare": Access(VIEWER),
    "models_catalog:compare-chosen": Access(VIEWER, get=(302,)),
    "models_catalog:version-live": Access(VIEWER),
    "models_catalog:versions-live": Access(VIEWER),
    "models_catalog:download": Access(OPERATOR, get=(302,)),
    "models_catalog:download-original": Access(OPERATOR, get=(302,)),
    "models_catalog:copy": Access(OPERATOR, post=(422,)),
    "models_catalog:copies-live": Access(VIEWER),
    "models_catalog:import": Access(OPERATOR, post=(422,)),
    "models_catalog:imported-live": Access(OPERATOR),
    "models_catalog:storage": Access(VIEWER),
    "models_catalog:storage-quota": Access(ADMIN, get=(), post=(422,)),
    "models_catalog:stores": Access(VIEWER),
    "models_catalog:store-groups": Access(ADMIN, post=(302,)),
    "models_catalog:new-store": Access(ADMIN, post=(422,)),
    "models_catalog:store": Access(VIEWER),
    "models_catalog:store-test": Access(ADMIN, get=(), post=(302,)),
    "models_catalog:store-retire": Access(ADMIN, get=(), post=(302,)),
    "models_catalog:store-restore": Access(ADMIN, get=(), post=(302,)),
    "models_catalog:repack": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:dismiss": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:restore": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:delete": Access(OPERATOR, post=(409,)),  # its version was published
    "models_catalog:retire": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:unretire": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:version-delete": Access(ADMIN, post=(422,)),
    "models_catalog:aliases": Access(VIEWER),
    "models_catalog:alias": Access(VIEWER),
    "models_catalog:alias-move": Access(OPERATOR, get=(), post=(422,)),
    "models_catalog:alias-roll-back": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:alias-delete": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:alias-undo": Access(OPERATOR, get=(), post=(302,)),
    "models_catalog:try": Access(OPERATOR, get=(200, 404)),  # 404 without DEMO_ARCHIVE
    # --- endpoints
    "endpoints:list": Access(VIEWER),
    "endpoints:teardown-of-many": Access(ADMIN, get=(200, 302), post=(200, 302, 400)),
    "endpoints:cost": Access(VIEWER),
    "endpoints:cost-csv": Access(VIEWER),
    "endpoints:budget": Access(ADMIN, post=(302,)),
    "endpoints:orphans": Access(VIEWER),
    "endpoints:orphans-live": Access(VIEWER),
    "endpoints:delete-orphans": Access(ADMIN, get=(302,), post=(302,)),
    "endpoints:adopt-orphans": Access(ADMIN, get=(), post=(302,)),
    "endpoints:new": Access(OPERATOR, post=(400,)),
    "endpoints:detail": Access(VIEWER),
    "endpoints:torn-down": Access(VIEWER),
    "endpoints:models": Access(VIEWER),
    "endpoints:use": Access(VIEWER),
    "endpoints:metrics": Access(
        VIEWER,
        queries=15,
        why="the head of the tabs, and calls, versions and changes; of weeks 3 kinds of sums",
    ),
    "endpoints:logs": Access(VIEWER),
    "endpoints:alarms": Access(VIEWER),
    "endpoints:new-alarm": Access(OPERATOR, post=(400,)),
    "endpoints:alarm": Access(OPERATOR, post=(302,)),
    "endpoints:remove-alarm": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:test-alarm": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:configuration": Access(VIEWER),
    "endpoints:history": Access(VIEWER),
    "endpoints:revisions": Access(VIEWER),
    "endpoints:change": Access(OPERATOR, post=(400,)),
    "endpoints:end-date": Access(OPERATOR, post=(302,)),
    "endpoints:idle": Access(OPERATOR, post=(302,)),
    "endpoints:postpone-idle": Access(OPERATOR, get=(200, 302), post=(302,)),
    "endpoints:weights": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:scaling": Access(OPERATOR, post=(400,)),
    "endpoints:scaling-off": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:hours": Access(OPERATOR, post=(302,)),
    "endpoints:pause": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:resume": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:extend": Access(OPERATOR, get=(200, 302), post=(302,)),
    "endpoints:extend-by-a-day": Access(OPERATOR, get=(200, 302), post=(302,)),
    "endpoints:accept": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:put-back": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:postpone": Access(OPERATOR, get=(200, 302), post=(302,)),
    "endpoints:undo-postponed": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:live": Access(VIEWER),
    "endpoints:check": Access(OPERATOR, get=(), post=(302,)),
    "endpoints:teardown": Access(ADMIN, post=(400,)),
    "endpoints:undo-teardown": Access(ADMIN, get=(), post=(302,)),
    "endpoints:undo-teardowns": Access(ADMIN, get=(), post=(302,)),
    "capacity:planner": Access(VIEWER),
    "capacity:warm": Access(VIEWER, post=(400,)),
    "capacity:keep-warm": Access(OPERATOR, get=(), post=(400,)),
    "capacity:warm-off": Access(OPERATOR, get=(), post=(302,)),
    "capacity:warm-stop": Access(VIEWER, get=(), post=(302,)),
    # --- calls
    "invocations:page": Access(VIEWER),
    "invocations:run": Access(VIEWER, get=(), post=(400,)),
    "invocations:raw": Access(VIEWER, post=(400,)),
    "invocations:result": Access(VIEWER, call=True),
    "invocations:logs": Access(VIEWER),
    "invocations:metrics": Access(
        VIEWER, queries=12, why="calls, versions and changes; of weeks 3 kinds of sums"
    ),
    "invocations:versions": Access(VIEWER),
    "invocations:side": Access(VIEWER, call=True),
    "invocations:beside-chosen": Access(VIEWER, get=(302,)),
    "invocations:forget": Access(VIEWER, get=(), post=(302,), call=True),
    "invocations:thumbnail": Access(VIEWER, call=True),
    "invocations:kept": Access(VIEWER, call=True),
    "invocations:sample": Access(VIEWER),
    "invocations:calls": Access(VIEWER),
    "invocations:calls-csv": Access(VIEWER),
    "invocations:old-calls": Access(VIEWER, get=(308,), post=(308,)),
    "invocations:old-side": Access(VIEWER, get=(308,), post=(308,)),
    "invocations:old-side-of": Access(VIEWER, get=(308,), post=(308,), call=True),
    "invocations:old-call": Access(VIEWER, get=(308,), post=(308,), call=True),
    "invocations:old-part-of-call": Access(VIEWER, get=(308,), post=(308,), call=True),
    "invocations:comparison-start": Access(VIEWER, get=(), post=(404,)),
    "invocations:comparison": Access(VIEWER),
    "invocations:comparison-csv": Access(VIEWER),
    "invocations:experiments": Access(VIEWER),
    "invocations:experiment-new": Access(VIEWER, post=(400,)),
    "invocations:experiment": Access(VIEWER),
    "invocations:experiment-stop": Access(VIEWER, get=(), post=(302,)),
    "invocations:experiment-rename": Access(VIEWER, post=(302,)),
    "invocations:experiment-csv": Access(VIEWER),
    "invocations:experiment-json": Access(VIEWER),
    "invocations:comparisons": Access(VIEWER),
    # 403: somebody else's
    "invocations:comparison-stop": Access(VIEWER, get=(), post=(302, 403)),
    "invocations:comparison-delete": Access(VIEWER, get=(200, 403), post=(302, 403)),
    "invocations:picture": Access(VIEWER, call=True),
    "invocations:wrong": Access(VIEWER, post=(400,), call=True),
    "invocations:test-set": Access(VIEWER),
    "invocations:test-set-download": Access(VIEWER),
    "invocations:test-set-empty": Access(ADMIN, post=(302,)),
    "invocations:test-set-undo": Access(VIEWER, get=(), post=(302,)),
    # 403: somebody else flagged it, and the role may not empty the set.
    "invocations:test-picture-remove": Access(VIEWER, get=(200, 403), post=(302, 403)),
    "invocations:test-picture": Access(VIEWER),
    "invocations:test-thumbnail": Access(VIEWER),
    # --- the activity log
    "activity:list": Access(VIEWER),
    "activity:redact": Access(ADMIN, post=(422,)),
    "activity:export": Access(VIEWER),
    "activity:subject": Access(VIEWER, get=(302,)),
    "activity:subject kind=user": Access(ADMIN, get=(302,)),
    "activity:subject kind=group": Access(ADMIN, get=(302,)),
    "activity:subject kind=webhook": Access(ADMIN, get=(302,)),
    # --- Django's admin, for superusers: its pages take a POST for a GET where nothing is saved
    "admin:index": _admin(SUPERUSER, post=(200,)),
    "admin:login": Access(SUPERUSER, get=(302,), post=(302,), leads_to_login=True),
    "admin:logout": _admin(SUPERUSER, get=(), post=(302,)),
    "admin:password_change": _admin(SUPERUSER, get=(302,), post=(302,)),
    "admin:password_change_done": _admin(SUPERUSER),
    "admin:autocomplete": _admin(SUPERUSER, get=(403,)),
    "admin:jsi18n": _admin(SUPERUSER),
    "admin:view_on_site": _admin(SUPERUSER, get=(302,), post=(302,)),
    "admin:app_list": _admin(SUPERUSER, post=(200,)),
    "admin/<url>": _admin(SUPERUSER, get=(404,), post=(404,)),
    "admin:auth_user_changelist": _admin(SUPERUSER, post=(200,)),
    "admin:auth_user_add": _admin(SUPERUSER, post=(200,)),
    "admin:auth_user_change": _admin(SUPERUSER, post=(200,)),
    "admin:auth_user_delete": _admin(SUPERUSER, get=(403,), post=(403,)),
    "admin:auth_user_history": _admin(SUPERUSER, post=(200,)),
    "admin:auth_user_password_change": _admin(SUPERUSER, post=(200,)),
    "admin/auth/user/<path:object_id>/": _admin(SUPERUSER, get=(302,), post=(302,)),
    "admin:auth_group_changelist": _admin(SUPERUSER, post=(200,)),
    "admin:auth_group_add": _admin(SUPERUSER, get=(403,), post=(403,)),
    "admin:auth_group_change": _admin(SUPERUSER, post=(403,)),
    "admin:auth_group_delete": _admin(SUPERUSER, get=(403,), post=(403,)),
    "admin:auth_group_history": _admin(SUPERUSER, post=(200,)),
    "admin/auth/group/<path:object_id>/": _admin(SUPERUSER, get=(302,), post=(302,)),
    "admin:models_catalog_version_changelist": _admin(SUPERUSER, post=(200,)),
    "admin:models_catalog_version_add": _admin(SUPERUSER, get=(403,), post=(403,)),
    "admin:models_catalog_version_change": _admin(SUPERUSER, post=(403,)),
    "admin:models_catalog_version_delete": _admin(SUPERUSER, get=(403,), post=(403,)),
    "admin:models_catalog_version_history": _admin(SUPERUSER, post=(200,)),
    "admin/models_catalog/version/<path:object_id>/": _admin(SUPERUSER, get=(302,), post=(302,)),
}
