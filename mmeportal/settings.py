"""Settings of the portal: every one comes from an environment variable.

docs/settings.md explains each; a test (tests/rules/test_docs.py) holds both together.
"""

import shlex
import ssl
from importlib.util import find_spec
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from accounts.addresses import networks
from core import logging
from core.encryption import Encryption
from core.env import (
    env_address,
    env_bool,
    env_choice,
    env_int,
    env_list,
    env_secret,
    env_str,
    env_template,
    require_disjoint,
    require_strong,
    url_with_password,
)

BASE_DIR = Path(__file__).resolve().parent.parent

# --- the site -----------------------------------------------------------------
DEBUG = env_bool("DEBUG")
# The page of all elements, for who changes them.
STYLEGUIDE = env_bool("STYLEGUIDE", default=DEBUG)
# Django's admin at /admin/; people have pages of the portal's own (accounts/people.py).
DJANGO_ADMIN = env_bool("DJANGO_ADMIN")
DEFAULT_EXCEPTION_REPORTER = "core.reporting.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "core.reporting.ReporterFilter"
# A server refuses to start without a secret.
SECRET_KEY = require_strong("SECRET_KEY", env_secret("SECRET_KEY"))
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
# Behind HTTPS (a load balancer): secure cookies, HSTS and the forwarded scheme.
HTTPS = env_bool("HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = env_bool("HSTS_SUBDOMAINS", default=True)
# Browsers' own list names whole domains, so whoever owns the domain decides (docs/settings.md).
SECURE_HSTS_PRELOAD = env_bool("HSTS_PRELOAD")
# `check --deploy` asks that these two be decided; the two variables decide them.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
CSRF_COOKIE_HTTPONLY = True  # scripts take the token from the page
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "mmeportal.views.out_of_date"
# Browsers share cookies between the ports of a host, so two portals on one host need two prefixes.
COOKIE_PREFIX = env_str("COOKIE_PREFIX", "mme")
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}_session"
SESSION_ENGINE = "accounts.sessions"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}_csrf"

INSTALLED_APPS = [
    "accounts",  # before Django's own apps: it stands in for two of their commands
    "accounts.admin_config.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "django_htmx",
    "core",
    "activity",
    "notices",
    "models_catalog",
    "endpoints",
    "invocations",
    "mmeportal",
]

MIDDLEWARE = [
    "core.middleware.RequestIdMiddleware",
    "core.prometheus.PrometheusMiddleware",
    "accounts.origins.OriginMiddleware",
    "core.api.middleware.ApiMiddleware",
    "core.health.HealthMiddleware",
    "core.middleware.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "core.compression.CompressionMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.languages.LanguageMiddleware",
    "core.middleware.NoStoreMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.token_auth.TokenMiddleware",
    "core.middleware.ReaderMiddleware",
    "mmeportal.form_alone.FormAloneMiddleware",
    "accounts.preferences.PreferencesMiddleware",
    "core.login_required.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "core.middleware.LoginForHtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "core.shortage.ShortageMiddleware",
]

ROOT_URLCONF = "mmeportal.urls"
WSGI_APPLICATION = "mmeportal.wsgi.application"

# Django caches templates with DEBUG too; with these loaders the next request shows a change.
_TEMPLATE_LOADERS = (
    [
        "django.template.loaders.filesystem.Loader",
        "django.template.loaders.app_directories.Loader",
    ]
    if DEBUG
    else None
)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": _TEMPLATE_LOADERS is None,
        "OPTIONS": {
            "loaders": _TEMPLATE_LOADERS,
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "core.context.site",
            ],
            "builtins": [
                "django.templatetags.i18n",
                "core.templatetags.portal",
                "core.templatetags.elements",
            ],
        },
    },
]

# Links to set a password are mailed where a server is named; an admin sees them anyway.
EMAIL_HOST = env_str("EMAIL_HOST", "")
EMAIL_PORT = env_int("EMAIL_PORT", 587, least=1)
EMAIL_HOST_USER = env_str("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env_secret("EMAIL_HOST_PASSWORD", "")
# STARTTLS, or TLS from the first byte, as at port 465.
EMAIL_USE_SSL = env_bool("EMAIL_USE_SSL")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", default=not EMAIL_USE_SSL)
if EMAIL_USE_SSL and EMAIL_USE_TLS:
    raise ImproperlyConfigured("Set one of EMAIL_USE_SSL and EMAIL_USE_TLS (docs/settings.md).")
EMAIL_TIMEOUT = 10  # seconds that an admin waits for it
DEFAULT_FROM_EMAIL = env_str("DEFAULT_FROM_EMAIL", "mme-portal@localhost")
PASSWORD_LINK_DAYS = env_int("PASSWORD_LINK_DAYS", 7, least=1)

# Tokens of the API: how long they count unless their owner says otherwise, and at most.
API_TOKEN_DAYS = env_int("API_TOKEN_DAYS", 90, least=1)
API_TOKEN_MAX_DAYS = env_int("API_TOKEN_MAX_DAYS", 365, least=1)
if API_TOKEN_DAYS > API_TOKEN_MAX_DAYS:
    raise ImproperlyConfigured("API_TOKEN_DAYS is more than API_TOKEN_MAX_DAYS.")

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # asks the throttle first
    "accounts.backends.PortalBackend",
    # Sessions from before there was another one name it.
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    *(
        {"NAME": f"django.contrib.auth.password_validation.{name}"}
        for name in (
            "UserAttributeSimilarityValidator",
            "CommonPasswordValidator",
            "NumericPasswordValidator",
        )
    ),
]

# --- the log-in's throttle (accounts/throttle.py) ------------------------------------------
LOGIN_FAILURE_LIMIT = env_int("LOGIN_FAILURE_LIMIT", 5, least=1)
LOGIN_ADDRESS_FAILURE_LIMIT = env_int("LOGIN_ADDRESS_FAILURE_LIMIT", 50, least=1)
LOGIN_COOL_OFF_S = env_int("LOGIN_COOL_OFF_S", 900, least=1)
TRUSTED_PROXIES = networks(env_list("TRUSTED_PROXIES"))
AXES_HANDLER = "accounts.throttle.Handler"
AXES_LOCKOUT_CALLABLE = "accounts.views.paused"
AXES_CLIENT_IP_CALLABLE = "accounts.addresses.client_address"
AXES_COOLOFF_TIME = "accounts.throttle.cool_off"
# What the handler does, as axes' checks want to read it.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True  # the activity log has it
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- languages and times (docs/development.md, "Languages") --------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ko", "한국어")]
# Django finds those of the installed apps by itself.
LOCALE_PATHS = [BASE_DIR / "mmeportal" / "locale"]
LANGUAGE_COOKIE_NAME = f"{COOKIE_PREFIX}_language"
LANGUAGE_COOKIE_AGE = 31_536_000  # s
TIME_ZONE_COOKIE_NAME = f"{COOKIE_PREFIX}_timezone"  # the browser's; static/js/portal.js sets it
FORMAT_MODULE_PATH = ["core.formats"]
TIME_ZONE = env_str("TIME_ZONE", "UTC")

STATIC_URL = "static/"
# ninja has Swagger UI, the page of the API's operations. As an app, every program would import it:
# a tenth of a worker's start.
_NINJA = Path(str(find_spec("ninja").origin)).parent  # type: ignore[union-attr]  # it is installed
STATICFILES_DIRS = [BASE_DIR / "static", ("ninja", _NINJA / "static" / "ninja")]
STATIC_ROOT = env_str("STATIC_ROOT", "") or None
# Without a build step (DEBUG, tests, one machine) whitenoise serves straight from the finders.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_ALLOW_ALL_ORIGINS = False  # nobody else's page needs our files

# --- database, broker, cache ---------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        url_with_password(
            env_secret("DATABASE_URL", f"sqlite:///{BASE_DIR / '.local' / 'db.sqlite3'}"),
            env_secret("DATABASE_PASSWORD", ""),
        ),
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # WAL lets readers go on beside the writer; IMMEDIATE makes writers queue at BEGIN, where
        # the timeout applies, instead of failing half-way with "database is locked".
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        # The portal's own writers wait for 3 s at most under load. Another program that holds the
        # lock for longer is answered for with 503 (core/shortage.py).
        "timeout": 8,
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # A server that is away, or a lock that another program holds, is answered for with 503 within
    # seconds. The address may say otherwise: postgres://…?connect_timeout=10
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,  # ms that what was sent may be unacknowledged (tcp(7))
        "options": "-c lock_timeout=8000",
    } | DATABASES["default"].get("OPTIONS", {})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = url_with_password(
    env_secret("REDIS_URL", "redis://127.0.0.1:6380/0"), env_secret("REDIS_PASSWORD", "")
)
CELERY_BROKER_URL = REDIS_URL
if REDIS_URL.startswith("rediss:"):
    # kombu would take any certificate. What the address itself says (ssl_cert_reqs) goes before.
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
WORKER_THREADS = env_int("WORKER_THREADS", 4, least=2)  # the Procfile hands it to the worker
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # every task may run twice: the database row is the queue
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Celery's worker and beat end after the hundredth
# A Redis that answers and refuses is waited for, too.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
# Workers take no remote-control commands; their health is in their heartbeat.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 3,  # tried twice: a user waits 6.5 s where Redis hangs
    "socket_connect_timeout": 3,
    "max_retries": 2,  # a web request must not hang on a dead broker; beat sweeps what it missed
    "interval_max": 0.5,
}
CELERY_TIMEZONE = "UTC"  # without it Celery takes TIME_ZONE
CELERY_BEAT_SCHEDULE = {
    "sweep-uploads": {"task": "models_catalog.tasks.sweep", "schedule": 5.0},
    "sweep-staging": {"task": "models_catalog.tasks.sweep_staging", "schedule": 3600.0},
    "keep-found": {"task": "models_catalog.tasks.keep_found", "schedule": 3600.0},
    "sweep-attempts": {"task": "core.tasks.sweep", "schedule": 600.0},
    "seal-events": {"task": "activity.tasks.seal", "schedule": 60.0},
    "sweep-accounts": {"task": "accounts.tasks.sweep", "schedule": 300.0},
    "sweep-notices": {"task": "notices.tasks.sweep", "schedule": 5.0},
    "clear-notices": {"task": "notices.tasks.clear", "schedule": 3600.0},
    "sweep-endpoints": {"task": "endpoints.tasks.sweep", "schedule": 2.0},
    "sweep-ends": {"task": "endpoints.tasks.sweep_ends", "schedule": 60.0},
    "sweep-idle": {"task": "endpoints.tasks.sweep_idle", "schedule": 60.0},
    "sweep-hours": {"task": "endpoints.tasks.sweep_hours", "schedule": 60.0},
    "sweep-orphans": {"task": "endpoints.tasks.sweep_orphans", "schedule": 5.0},
    "watch-alarms": {"task": "endpoints.tasks.watch_alarms", "schedule": 5.0},
    "sweep-budgets": {"task": "endpoints.tasks.sweep_budgets", "schedule": 600.0},
    "sweep-prices": {"task": "endpoints.tasks.sweep_prices", "schedule": 600.0},
    "sweep-invocations": {"task": "invocations.tasks.sweep", "schedule": 5.0},
    "roll-up-calls": {"task": "invocations.tasks.roll_up", "schedule": 60.0},
    "find-last-calls": {"task": "invocations.tasks.find_last_calls", "schedule": 3600.0},
    "keep-measured-hours": {"task": "invocations.tasks.keep_measured_hours", "schedule": 300.0},
    "sweep-pictures": {"task": "invocations.tasks.sweep_objects", "schedule": 3600.0},
}
# A beat message that nobody took before the next one is due is worthless.
for _entry in CELERY_BEAT_SCHEDULE.values():
    _entry["options"] = {"expires": _entry["schedule"]}

# --- the API's limits (core/api/limits.py), each a second -----------------------------------
API_CALLS_PER_SECOND = env_int("API_CALLS_PER_SECOND", 600, least=1)
API_CHANGES_PER_SECOND = env_int("API_CHANGES_PER_SECOND", 20, least=1)
API_ANONYMOUS_PER_SECOND = env_int("API_ANONYMOUS_PER_SECOND", 60, least=1)

# --- webhooks and mails (notices/) ------------------------------------------------------------
# Where people reach the portal: for the links in messages, which no request asked for.
PORTAL_URL = env_str("PORTAL_URL", "").rstrip("/")
WEBHOOK_ALLOW_HTTP = env_bool("WEBHOOK_ALLOW_HTTP")
# Networks that webhooks may reach beside the public internet.
WEBHOOK_PRIVATE_NETWORKS = networks(
    env_list("WEBHOOK_PRIVATE_NETWORKS"), "WEBHOOK_PRIVATE_NETWORKS"
)
# Who may have signed the receivers' certificates; the system's list without it.
WEBHOOK_CA_BUNDLE = env_str("WEBHOOK_CA_BUNDLE", "") or None
NOTICES_KEPT_DAYS = env_int("NOTICES_KEPT_DAYS", 30, least=1)

# --- uploads ---------------------------------------------------------------------
# Files go to disk, never wholly into memory.
DATA_UPLOAD_MAX_NUMBER_FILES = 210  # the pictures of one comparison, and a file of their labels
FILE_UPLOAD_HANDLERS = ["core.uploads.NamelessFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR = env_str("UPLOAD_TEMP_DIR", "") or None
UPLOAD_DISK_RESERVE_MB = env_int("UPLOAD_DISK_RESERVE_MB", 256)
MAX_ARCHIVE_MB = env_int("MAX_ARCHIVE_MB", 2048, least=1)
# Of archives in the store, in 2^30 bytes; 0: no limit (models_catalog/storage.py).
USER_QUOTA_GB = env_int("USER_QUOTA_GB", 0, most=1_000_000)
STORE_QUOTA_GB = env_int("STORE_QUOTA_GB", 0, most=1_000_000)
MAX_UNPACKED_MB = env_int("MAX_UNPACKED_MB", 4096, least=1)
MIN_FREE_MB = env_int("MIN_FREE_MB", 1024)  # below it, the state page says that the disk is short
# The container's own validation of an archive: a command that takes the archive's path and prints
# one JSON report (container/preflight.py).
PREFLIGHT_COMMAND = shlex.split(
    env_str(
        "PREFLIGHT_COMMAND",
        f"{BASE_DIR}/.venv-container/bin/python {BASE_DIR}/container/preflight.py",
    )
)
PREFLIGHT_TIMEOUT_S = env_int("PREFLIGHT_TIMEOUT_S", 300, least=1)
PREFLIGHT_MEMORY_MB = env_int("PREFLIGHT_MEMORY_MB", 4096, least=256)
# Check nothing where a part of the sandbox is missing.
REQUIRE_SANDBOX = env_bool("REQUIRE_SANDBOX", default=True)
# How what is served is packed where nobody chooses: auto, stored or compressed.
PACKING = env_choice("PACKING", "auto", ("auto", "stored", "compressed"))
# Keep the bytes of accepted uploads, for download.
KEEP_ORIGINALS = env_bool("KEEP_ORIGINALS", default=True)
# Packs a network of MXNet's model zoo; used by `manage.py pack_zoo` alone.
PACK_ZOO_COMMAND = shlex.split(
    env_str("PACK_ZOO_COMMAND", f"{BASE_DIR}/.venv-container/bin/python {BASE_DIR}/demo/zoo.py")
)

# --- AWS ---------------------------------------------------------------------------
# boto3 itself reads credentials and AWS_ENDPOINT_URL_* from the environment.
# Those of localaws, for who sets neither: AWS itself refuses this account.
REGION = "ap-northeast-2"
ACCOUNT = "123456789012"
AWS_REGION = env_str("AWS_REGION", REGION)
AWS_CALLS_PER_SECOND = env_int("AWS_CALLS_PER_SECOND", 5, least=1)
AWS_READ_TIMEOUT_S = env_int("AWS_READ_TIMEOUT_S", 10, least=1)
AWS_CONNECT_TIMEOUT_S = env_int("AWS_CONNECT_TIMEOUT_S", 5, least=1)
MODEL_BUCKET = env_str("MODEL_BUCKET", f"sagemaker-{REGION}-{ACCOUNT}")
MODEL_PREFIX = env_str("MODEL_PREFIX", "models").strip("/")
STAGING_PREFIX = env_str("STAGING_PREFIX", "staging").strip("/")
ORIGINALS_PREFIX = env_str("ORIGINALS_PREFIX", "originals").strip("/")
TEST_SETS_PREFIX = env_str("TEST_SETS_PREFIX", "test-sets").strip("/")
ALIASES_PREFIX = env_str("ALIASES_PREFIX", "aliases").strip("/")
PICTURES_PREFIX = env_str("PICTURES_PREFIX", "pictures").strip("/")
CAPTURES_PREFIX = env_str("CAPTURES_PREFIX", "captures").strip("/")
# SageMaker serves whatever lies below the store's prefix, so nothing else may lie there.
require_disjoint(
    {
        "MODEL_PREFIX": MODEL_PREFIX,
        "STAGING_PREFIX": STAGING_PREFIX,
        "ORIGINALS_PREFIX": ORIGINALS_PREFIX,
        "TEST_SETS_PREFIX": TEST_SETS_PREFIX,
        "ALIASES_PREFIX": ALIASES_PREFIX,
        "PICTURES_PREFIX": PICTURES_PREFIX,
        "CAPTURES_PREFIX": CAPTURES_PREFIX,
    }
)
# Aliases that take a reason, and a token with the scope `operate`.
PROTECTED_ALIASES = env_list("PROTECTED_ALIASES")
# Where browsers reach S3 under another address than the portal does, as in containers.
S3_BROWSER_URL = env_str("S3_BROWSER_URL", "") or None
# How S3 encrypts what the portal writes: "" leaves it to the bucket.
S3_ENCRYPTION = env_choice("S3_ENCRYPTION", Encryption.BUCKET, tuple(Encryption))
S3_KMS_KEY_ID = env_str("S3_KMS_KEY_ID", "")
if S3_KMS_KEY_ID and S3_ENCRYPTION != Encryption.SSE_KMS:
    raise ImproperlyConfigured("S3_KMS_KEY_ID needs S3_ENCRYPTION=sse-kms (see docs/settings.md).")
CONTAINER_IMAGE = env_str(
    "CONTAINER_IMAGE",
    f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/demo-sagemaker-multimodel:latest",
)
EXECUTION_ROLE_ARN = env_str("EXECUTION_ROLE_ARN", f"arn:aws:iam::{ACCOUNT}:role/mme-portal")
INSTANCE_TYPES = env_list(
    "INSTANCE_TYPES", "ml.m5.large,ml.m5.xlarge,ml.m5.2xlarge,ml.c5.xlarge,ml.c5.2xlarge"
)
MAX_INSTANCES = env_int("MAX_INSTANCES", 10, least=1)
PRICE_LIST = env_str("PRICE_LIST", "")
PRICES_FROM_AWS = env_bool("PRICES_FROM_AWS", default=True)
INSTANCE_MEMORY_PERCENT = env_int("INSTANCE_MEMORY_PERCENT", 100, least=1, most=100)
OPERATOR_ENDPOINT_DAYS = env_int("OPERATOR_ENDPOINT_DAYS", 0, most=3650)
OPERATOR_DEFAULT_ENDPOINT_DAYS = env_int("OPERATOR_DEFAULT_ENDPOINT_DAYS", 0, most=3650)
OPERATOR_IDLE_HOURS = env_int("OPERATOR_IDLE_HOURS", 0, most=8760)
OPERATOR_DEFAULT_IDLE_HOURS = env_int("OPERATOR_DEFAULT_IDLE_HOURS", 0, most=8760)
ADMIN_ENDPOINT_DAYS = env_int("ADMIN_ENDPOINT_DAYS", 0, most=3650)
ADMIN_DEFAULT_ENDPOINT_DAYS = env_int("ADMIN_DEFAULT_ENDPOINT_DAYS", 0, most=3650)
ADMIN_IDLE_HOURS = env_int("ADMIN_IDLE_HOURS", 0, most=8760)
ADMIN_DEFAULT_IDLE_HOURS = env_int("ADMIN_DEFAULT_IDLE_HOURS", 0, most=8760)
# For this long a teardown can be undone: as long as the message with its button is shown.
TEARDOWN_UNDO_S = env_int("TEARDOWN_UNDO_S", 10, most=300)

# --- invocations ---------------------------------------------------------------------
# SageMaker loads a model for up to 360 s while it answers ModelNotReadyException
# (Developer Guide, invoke-multi-model-endpoint).
INVOKE_WAIT_S = env_int("INVOKE_WAIT_S", 360, least=1)
# What calls are and were, until it is in rows: a file of each process (invocations/journal.py).
JOURNAL_DIR = env_str("JOURNAL_DIR", str(BASE_DIR / ".local" / "journal"))
# Where each process has its page for Prometheus (core/prometheus_page.py); empty: none.
PROMETHEUS_BIND = env_address("PROMETHEUS_BIND")
# CloudWatch asks a price for each metric that it is asked for.
METRICS_KEEP_S = env_int("METRICS_KEEP_S", 30, least=1)
# Where the pages of an endpoint's containers stand as one; on AWS nobody but SageMaker reads them.
CONTAINER_METRICS_URL = env_template("CONTAINER_METRICS_URL", "endpoint")
INVOKE_THREADS = env_int("INVOKE_THREADS", 16, least=1)
WEB_THREADS = env_int("WEB_THREADS", 16, least=2)  # the Procfile hands it to the web server
# Whether viewers see the calls of others, and the pictures that others sent.
VIEWERS_SEE_ALL_CALLS = env_bool("VIEWERS_SEE_ALL_CALLS", default=True)
# Experiments (invocations/experiments/): how many run beside one worker, and how large they may be.
EXPERIMENTS_AT_ONCE = env_int("EXPERIMENTS_AT_ONCE", 2, least=1)
EXPERIMENT_CALLS = env_int("EXPERIMENT_CALLS", 10_000, least=1, most=10_000)
EXPERIMENT_CALLS_VIEWER = env_int("EXPERIMENT_CALLS_VIEWER", 1000, least=1, most=10_000)
# At most this many pictures may be given to one.
EXPERIMENT_PICTURES = env_int("EXPERIMENT_PICTURES", 100, least=1, most=200)
EXPERIMENT_CALLERS = env_int("EXPERIMENT_CALLERS", 32, least=1, most=32)
EXPERIMENT_CALLERS_VIEWER = env_int("EXPERIMENT_CALLERS_VIEWER", 8, least=1, most=32)
SAMPLES_DIR = env_str("SAMPLES_DIR", "")
DEMO_ARCHIVE = env_str("DEMO_ARCHIVE", "")
# Whether "Wrong?" keeps a picture for a model's test set: longer than the day of other pictures,
# so on AWS somebody decides it; `make up` switches it on.
TEST_SETS = env_bool("TEST_SETS", default=False)
# How long a picture is kept after it was last sent, and its thumbnail after the call.
PICTURES_KEPT_HOURS = env_int("PICTURES_KEPT_HOURS", 24, least=0)
CALLS_KEPT_DAYS = env_int("CALLS_KEPT_DAYS", 0)
THUMBNAILS_KEPT_DAYS = env_int("THUMBNAILS_KEPT_DAYS", 7, least=0)
TEST_SET_PICTURES = env_int("TEST_SET_PICTURES", 1000, least=1)
TEST_SET_MB = env_int("TEST_SET_MB", 500, least=1)

# --- logs ------------------------------------------------------------------------------
LOG_AS_JSON = logging.is_json(
    env_choice("LOG_FORMAT", "auto", ("auto", "json", "console")), debug=DEBUG
)
LOGGING = logging.configuration(level=env_str("LOG_LEVEL", "INFO"), as_json=LOG_AS_JSON)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
