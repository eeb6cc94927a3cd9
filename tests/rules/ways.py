"""Each capability's four ways in: an operation of the API, a command of `mme`, a page and a recipe.

Whoever adds one adds the others, or says here why there is none.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Without:
    """There is no such way, and why."""

    why: str


@dataclass(frozen=True)
class Ways:
    """Where else one can do what an operation does.

    ``command``: of ``mme``, as it is typed. ``page``: the name of an address. ``recipe``: a file of
    docs/ and one of its headings, as ``FILE.md#Tokens``.
    """

    command: str | Without
    page: str | Without
    recipe: str | Without


_ITSELF = Without("it is about the API itself")
_IN_REPORT = Without("`mme show` has it among a version's fields")

#: By the operation's id. Those of a noun that has no operation yet are held when its first comes.
WAYS: dict[str, Ways] = {
    "status_get": Ways("status", "status", "running.md#Health"),
    "today_get": Ways("today", "home", "api.md#The portal and tokens"),
    "openapi_get": Ways(_ITSELF, "api-docs", "development.md#The API"),
    "me_get": Ways("whoami", "tokens", "users.md#Tokens"),
    "tokens_list": Ways("token list", "tokens", "users.md#Tokens"),
    "tokens_create": Ways("token create", "tokens", "users.md#Tokens"),
    "tokens_get": Ways(
        Without("`mme token list` shows all there is of a token"), "tokens", "users.md#Tokens"
    ),
    "tokens_revoke": Ways("token revoke", "revoke-token", "users.md#Tokens"),
    "models_list": Ways("search", "models_catalog:list", "catalog.md#Find a model"),
    "models_create": Ways(
        Without("`mme push` makes the model where it is missing"),
        "models_catalog:new",
        "api.md#Models",
    ),
    "models_get": Ways("show", "models_catalog:model", "api.md#Models"),
    "models_describe": Ways(
        "describe", "models_catalog:describe", "catalog.md#Tags and owner of a model"
    ),
    "models_delete": Ways(
        Without("a deletion is rare, and a person's decision"),
        "models_catalog:delete",
        "api.md#Models",
    ),
    "versions_list": Ways("show", "models_catalog:model", "api.md#Versions"),
    "versions_find": Ways(
        Without("`mme push` says itself which version has the same bytes"),
        "models_catalog:list",
        "api.md#Versions",
    ),
    "versions_push": Ways("push", "models_catalog:upload", "api.md#Versions"),
    "versions_get": Ways("show", "models_catalog:version", "api.md#Versions"),
    "versions_describe": Ways(
        "describe", "models_catalog:describe-version", "catalog.md#Metadata of a version"
    ),
    "versions_compare": Ways(
        "compare", "models_catalog:compare", "catalog.md#Compare two versions"
    ),
    "comparisons_create": Ways(
        "compare", "invocations:comparison-start", "catalog.md#Compare the answers of two versions"
    ),
    "comparisons_get": Ways(
        "comparisons show", "invocations:comparison", "catalog.md#Many pictures of your own"
    ),
    "comparisons_list": Ways(
        "comparisons", "invocations:comparisons", "catalog.md#Many pictures of your own"
    ),
    "comparisons_stop": Ways(
        "comparisons stop", "invocations:comparison-stop", "catalog.md#Many pictures of your own"
    ),
    "comparisons_delete": Ways(
        "comparisons delete",
        "invocations:comparison-delete",
        "catalog.md#Many pictures of your own",
    ),
    "pictures_keep": Ways("compare", "invocations:run", "catalog.md#Many pictures of your own"),
    "comparisons_csv": Ways(
        "comparisons show",
        "invocations:comparison-csv",
        "catalog.md#Compare the answers of two versions",
    ),
    "versions_report": Ways(_IN_REPORT, "models_catalog:version", "api.md#Versions"),
    "versions_download": Ways("download", "models_catalog:download", "api.md#Versions"),
    "versions_uses": Ways(
        "delete", "models_catalog:version-delete", "catalog.md#Retire and delete"
    ),
    "versions_retire": Ways("retire", "models_catalog:retire", "catalog.md#Retire and delete"),
    "versions_restore": Ways("restore", "models_catalog:unretire", "catalog.md#Retire and delete"),
    "versions_delete": Ways(
        "delete", "models_catalog:version-delete", "catalog.md#Retire and delete"
    ),
    "copies_list": Ways("copy", "models_catalog:copy", "catalog.md#Copy a version"),
    "copies_preview": Ways("copy", "models_catalog:copy", "catalog.md#Copy a version"),
    "copies_create": Ways("copy", "models_catalog:copy", "catalog.md#Copy a version"),
    "imports_list": Ways(
        Without("`mme import --wait` says how each went"),
        "models_catalog:import",
        "catalog.md#Import what lies in the store",
    ),
    "imports_preview": Ways(
        "import", "models_catalog:import", "catalog.md#Import what lies in the store"
    ),
    "imports_create": Ways(
        "import", "models_catalog:import", "catalog.md#Import what lies in the store"
    ),
    "versions_repack": Ways(
        "repack", "models_catalog:repack", "catalog.md#Import what lies in the store"
    ),
    "versions_dismiss": Ways(
        Without("a version that was refused is dismissed by who has looked at why"),
        "models_catalog:dismiss",
        "api.md#Versions",
    ),
    "uploads_options": Ways(
        Without("`mme push` speaks the protocol itself"),
        "models_catalog:upload",
        "api.md#Uploads that go on",
    ),
    "uploads_create": Ways("push", "models_catalog:begin", "api.md#Uploads that go on"),
    "uploads_list": Ways("uploads", "models_catalog:new", "catalog.md#Upload over a bad line"),
    "uploads_offset": Ways("push", "models_catalog:upload", "api.md#Uploads that go on"),
    "uploads_get": Ways("push", "models_catalog:upload", "api.md#Uploads that go on"),
    "uploads_send": Ways("push", "models_catalog:upload", "api.md#Uploads that go on"),
    "uploads_cancel": Ways(
        "uploads cancel", "models_catalog:upload", "catalog.md#Upload over a bad line"
    ),
    "aliases_list": Ways("alias", "models_catalog:aliases", "catalog.md#Aliases by the API"),
    "aliases_get": Ways("alias", "models_catalog:alias", "catalog.md#Aliases by the API"),
    "aliases_put": Ways("alias", "models_catalog:alias-move", "catalog.md#Aliases by the API"),
    "aliases_rollback": Ways(
        "alias", "models_catalog:alias-roll-back", "catalog.md#Aliases by the API"
    ),
    "aliases_delete": Ways("alias", "models_catalog:alias-delete", "catalog.md#Aliases by the API"),
    "aliases_history": Ways("alias", "models_catalog:alias", "catalog.md#Aliases by the API"),
    "endpoints_list": Ways("endpoints", "endpoints:list", "api.md#Endpoints"),
    "endpoints_create": Ways("deploy", "endpoints:new", "api.md#Endpoints"),
    "endpoints_get": Ways("endpoints", "endpoints:detail", "api.md#Endpoints"),
    "endpoints_check": Ways(
        Without("the portal looks by itself; `mme endpoints` shows what it saw"),
        "endpoints:check",
        "api.md#Endpoints",
    ),
    "endpoints_preview": Ways("deploy", "endpoints:new", "endpoints.md#Plan it"),
    "endpoints_preview_change": Ways("endpoint update", "endpoints:change", "endpoints.md#Plan it"),
    "endpoints_update": Ways("endpoint update", "endpoints:change", "endpoints.md#Change it"),
    "endpoints_weigh": Ways("endpoint weights", "endpoints:weights", "endpoints.md#Variants"),
    "endpoints_expire": Ways("endpoint expire", "endpoints:end-date", "endpoints.md#End dates"),
    "endpoints_set_idle": Ways("endpoint expire", "endpoints:idle", "endpoints.md#Idle hours"),
    "endpoints_postpone_idle": Ways(
        "endpoint postpone", "endpoints:postpone-idle", "endpoints.md#Idle hours"
    ),
    "endpoints_scale": Ways("endpoint scale", "endpoints:scaling", "endpoints.md#Autoscaling"),
    "endpoints_scale_off": Ways(
        "endpoint scale", "endpoints:scaling-off", "endpoints.md#Autoscaling"
    ),
    "endpoints_preview_scaling": Ways(
        "endpoint scale", "endpoints:scaling", "endpoints.md#Autoscaling"
    ),
    "endpoints_set_hours": Ways(
        "endpoint schedule", "endpoints:hours", "endpoints.md#Working hours"
    ),
    "endpoints_preview_hours": Ways(
        "endpoint schedule", "endpoints:hours", "endpoints.md#Plans of what else is done"
    ),
    "endpoints_preview_pause": Ways(
        "endpoint pause", "endpoints:pause", "endpoints.md#Plans of what else is done"
    ),
    "endpoints_preview_resume": Ways(
        "endpoint resume", "endpoints:resume", "endpoints.md#Plans of what else is done"
    ),
    "endpoints_preview_accept": Ways(
        "endpoint accept", "endpoints:accept", "endpoints.md#Plans of what else is done"
    ),
    "endpoints_preview_put_back": Ways(
        "endpoint put-back", "endpoints:put-back", "endpoints.md#Plans of what else is done"
    ),
    "endpoints_preview_scaling_off": Ways(
        "endpoint scale", "endpoints:scaling-off", "endpoints.md#Plans of what else is done"
    ),
    "alarms_preview": Ways(
        "alarms create", "endpoints:new-alarm", "endpoints.md#Plans of what else is done"
    ),
    "endpoints_pause": Ways("endpoint pause", "endpoints:pause", "endpoints.md#Working hours"),
    "endpoints_resume": Ways("endpoint resume", "endpoints:resume", "endpoints.md#Working hours"),
    "endpoints_extend": Ways("endpoint extend", "endpoints:extend", "endpoints.md#Working hours"),
    "endpoints_accept": Ways(
        "endpoint accept", "endpoints:accept", "endpoints.md#Changed outside the portal"
    ),
    "endpoints_put_back": Ways(
        "endpoint put-back", "endpoints:put-back", "endpoints.md#Changed outside the portal"
    ),
    "endpoints_postpone": Ways("endpoint postpone", "endpoints:postpone", "endpoints.md#End dates"),
    "endpoints_rollback": Ways("endpoint rollback", "endpoints:change", "endpoints.md#Change it"),
    "endpoints_revisions": Ways(
        "endpoint revisions", "endpoints:revisions", "endpoints.md#Change it"
    ),
    "endpoints_thrash": Ways(
        "endpoint thrash", "endpoints:metrics", "capacity.md#Models that take turns in memory"
    ),
    "capacity_plan": Ways(
        "plan-capacity", "capacity:planner", "capacity.md#Plan instances before a deploy"
    ),
    "warmings_create": Ways("endpoint warm", "capacity:warm", "capacity.md#Warm models"),
    "warmings_get": Ways("endpoint warm", "capacity:warm", "capacity.md#Warm models"),
    "warmings_stop": Ways("endpoint warm", "capacity:warm-stop", "capacity.md#Warm models"),
    "warmth_get": Ways("endpoint warm", "capacity:warm", "capacity.md#Warm models"),
    "warmth_put": Ways("endpoint warm", "capacity:keep-warm", "capacity.md#Warm models"),
    "warmth_delete": Ways("endpoint warm", "capacity:warm-off", "capacity.md#Warm models"),
    "endpoints_metrics": Ways("metrics", "endpoints:metrics", "observing.md#Metrics"),
    "endpoints_logs": Ways("logs", "endpoints:logs", "observing.md#Logs"),
    "endpoints_teardown": Ways("teardown", "endpoints:teardown", "api.md#Endpoints"),
    "images_list": Ways("images", "endpoints:new", "endpoints.md#Images in ECR"),
    "alarms_list": Ways("alarms list", "endpoints:alarms", "endpoints.md#Alarms"),
    "alarms_get": Ways("alarms list", "endpoints:alarms", "endpoints.md#Alarms"),
    "alarms_put": Ways("alarms create", "endpoints:new-alarm", "endpoints.md#Alarms"),
    "alarms_test": Ways("alarms test", "endpoints:test-alarm", "endpoints.md#Alarms"),
    "alarms_delete": Ways("alarms delete", "endpoints:remove-alarm", "endpoints.md#Alarms"),
    "cost_get": Ways("cost", "endpoints:cost", "endpoints.md#What a month cost"),
    "prices_list": Ways("cost prices", "endpoints:cost", "endpoints.md#What it costs"),
    "budgets_put": Ways("cost budget", "endpoints:budget", "endpoints.md#Budgets"),
    "budgets_delete": Ways("cost budget", "endpoints:budget", "endpoints.md#Budgets"),
    "endpoints_preview_teardown": Ways(
        "teardown", "endpoints:teardown", "endpoints.md#Tear it down"
    ),
    "endpoints_undo_teardown": Ways(
        "teardown", "endpoints:undo-teardown", "endpoints.md#Tear it down"
    ),
    "orphans_list": Ways("orphans", "endpoints:orphans", "endpoints.md#Orphans"),
    "orphans_get": Ways("orphans", "endpoints:orphans", "endpoints.md#Orphans"),
    "orphans_delete": Ways("orphans", "endpoints:delete-orphans", "endpoints.md#Orphans"),
    "orphans_adopt": Ways("orphans", "endpoints:adopt-orphans", "endpoints.md#Orphans"),
    "invocations_create": Ways("invoke", "invocations:raw", "invoke.md#By the portal's API"),
    "invocations_list": Ways("calls", "invocations:calls", "invoke.md#Calls"),
    "invocations_get": Ways("calls repeat", "invocations:result", "invoke.md#Calls"),
    "invocations_repeat": Ways("calls repeat", "invocations:run", "invoke.md#Calls"),
    "invocations_forget_picture": Ways("calls forget", "invocations:forget", "invoke.md#Calls"),
    "invocations_picture": Ways(
        Without("who called has the picture"),
        "invocations:picture",
        "invoke.md#By the portal's API",
    ),
    "experiments_create": Ways("experiment", "invocations:experiment-new", "invoke.md#Experiments"),
    "experiments_preview": Ways(
        "experiment", "invocations:experiment-new", "invoke.md#Experiments"
    ),
    "experiments_list": Ways("experiments", "invocations:experiments", "invoke.md#Experiments"),
    "experiments_get": Ways("experiments", "invocations:experiment", "invoke.md#Experiments"),
    "experiments_compare": Ways("experiments", "invocations:experiment", "invoke.md#Experiments"),
    "experiments_rename": Ways(
        "experiments", "invocations:experiment-rename", "invoke.md#Experiments"
    ),
    "experiments_stop": Ways("experiments", "invocations:experiment-stop", "invoke.md#Experiments"),
    "experiments_csv": Ways("experiments", "invocations:experiment-csv", "invoke.md#Experiments"),
    "events_list": Ways("events", "activity:list", "api.md#Events"),
    "webhooks_list": Ways("webhook list", "notices:list", "webhooks.md#Make a webhook"),
    "webhooks_kinds": Ways("webhook kinds", "notices:new", "webhooks.md#What can be told"),
    "webhooks_create": Ways("webhook add", "notices:new", "webhooks.md#Make a webhook"),
    "webhooks_get": Ways(
        Without("`mme webhook list` shows all there is of a webhook"),
        "notices:webhook",
        "webhooks.md#Make a webhook",
    ),
    "webhooks_change": Ways("webhook change", "notices:webhook", "webhooks.md#Change and remove"),
    "webhooks_delete": Ways("webhook remove", "notices:remove", "webhooks.md#Change and remove"),
    "webhooks_rotate": Ways("webhook rotate", "notices:rotate", "webhooks.md#A new secret"),
    "webhooks_test": Ways("webhook test", "notices:test", "webhooks.md#Make a webhook"),
    "webhooks_deliveries": Ways(
        "webhook deliveries", "notices:webhook", "webhooks.md#Retries and the log"
    ),
    "webhooks_redeliver": Ways(
        "webhook redeliver", "notices:redeliver", "webhooks.md#Retries and the log"
    ),
    "redactions_plan": Ways("redact", "activity:redact", "security.md#Redact a text"),
    "redactions_create": Ways("redact", "activity:redact", "security.md#Redact a text"),
    "storage_get": Ways("storage", "models_catalog:storage", "catalog.md#Storage and quotas"),
    "quotas_put": Ways("storage", "models_catalog:storage-quota", "catalog.md#Storage and quotas"),
    "stores_list": Ways("stores", "models_catalog:stores", "catalog.md#Stores"),
    "stores_create": Ways("stores add", "models_catalog:new-store", "catalog.md#Stores"),
    "stores_get": Ways("stores show", "models_catalog:store", "catalog.md#Stores"),
    "stores_groups": Ways(
        "stores groups", "models_catalog:store-groups", "catalog.md#Who may see a store"
    ),
    "groups_list": Ways("groups", "accounts:groups", "catalog.md#Who may see a store"),
    "groups_create": Ways("groups make", "accounts:groups", "catalog.md#Who may see a store"),
    "groups_get": Ways("groups show", "accounts:group", "catalog.md#Who may see a store"),
    "groups_change": Ways("groups put", "accounts:join-group", "catalog.md#Who may see a store"),
    "groups_delete": Ways(
        "groups delete", "accounts:delete-group", "catalog.md#Who may see a store"
    ),
    "stores_test": Ways("stores test", "models_catalog:store-test", "catalog.md#Stores"),
    "stores_retire": Ways("stores retire", "models_catalog:store-retire", "catalog.md#Stores"),
    "stores_restore": Ways("stores restore", "models_catalog:store-restore", "catalog.md#Stores"),
    "mails_get": Ways("mails", "preferences", "webhooks.md#Mails"),
    "mails_put": Ways("mails", "mails", "webhooks.md#Mails"),
    "samples_list": Ways(
        Without("samples are for trying the page"), "invocations:page", "api.md#Samples"
    ),
    "samples_get": Ways(
        Without("samples are for trying the page"), "invocations:sample", "api.md#Samples"
    ),
}

#: Addresses of pages that change something and have no operation, and why.
PAGES_ALONE: dict[str, str] = {
    "endpoints:alarm": "alarms_put: the same for an alarm that is there",
    "login": "a program has a token",
    "logout": "a program has a token",
    "password": "a password is a person's; a program that could change it could take the account",
    "preferences": "they are of the pages: language and time zone",
    "language": "a program sends Accept-Language",
    "hide-first-steps": "they are of the pages",
    "show-first-steps": "they are of the pages",
    "accounts:invite": "people are managed by people",
    "accounts:role": "people are managed by people",
    "accounts:active": "people are managed by people",
    "accounts:link": "people are managed by people",
    "accounts:revoke-link": "people are managed by people",
    "accounts:details": "people are managed by people",
    "accounts:superuser": "people are managed by people",
    "accounts:withdraw": "people are managed by people",
    "accounts:unlock": "people are managed by people",
    "accounts:leave-group": "groups_change takes `leave`",
    "accounts:welcome": "people are managed by people",
    "accounts:revoke-token-of-person": "tokens_revoke takes ?person=",
    "models_catalog:alias-undo": "it is the Undo of a button; aliases_put moves it back",
    "invocations:old-calls": "it leads to where calls are now",
    "invocations:old-side": "it leads to where calls are now",
    "invocations:old-side-of": "it leads to where calls are now",
    "invocations:old-call": "it leads to where calls are now",
    "invocations:old-part-of-call": "it leads to where calls are now",
    "models_catalog:plan": "it changes nothing; uploads_create refuses what it would warn of",
    "models_catalog:same": "it changes nothing; a program knows which file it was sending",
    "models_catalog:restore": "it is the Undo of a button of the page Today",
    "endpoints:extend-by-a-day": "endpoints_extend takes `day`",
    "endpoints:undo-postponed": "it is the Undo of a button; endpoints_expire sets any end date",
    "endpoints:undo-teardowns": "it is endpoints_undo_teardown for each of them",
    "endpoints:teardown-of-many": "it is endpoints_teardown for each of them",
    "invocations:wrong": "a label is a person's judgement of a picture that is looked at",
    "invocations:test-set-undo": "it is the Undo of “Wrong?”",
    "invocations:test-picture-remove": "what a person judged is taken back by people",
    "notices:pause": "webhooks_change takes `paused`",
    "invocations:test-set-empty": "what people judged is thrown away by people",
}

#: Commands of ``mme`` that no operation is named after, and why.
COMMANDS_ALONE: dict[str, str] = {
    "models": "it is `mme search` without filters",
    "groups take": "groups_change with `leave`",
    "login": "it keeps a token on this machine, and asks me_get whose it is",
}
