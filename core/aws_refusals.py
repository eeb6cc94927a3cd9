"""Why AWS refused a call permanently, and what a person can do about it.

Only :mod:`core.aws` uses it. AWS says many things only in the text of an error: which policy
denied a call, that a KMS key caused it, that a signature is wrong because of a clock. These texts
are matched here. Their forms are those of the IAM User Guide ("Troubleshoot access
denied error messages"), of the S3 API ("Error responses") and of messages that people have
published; each is in `core/tests/test_refusals.py`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from core.sentences import Sentence, phrase


@dataclass(frozen=True)
class AwsRefusal:
    """Why a call was refused, and what to do: two sentences or a few."""

    what: Sentence
    todo: Sentence
    credentials: bool = False
    """Whether other credentials would help; if so, the portal reads them again."""


_EXPIRED = AwsRefusal(
    phrase("The portal's AWS credentials have expired."),
    phrase(
        "Give it new ones where it reads them; a role of the machine or the task is renewed by "
        "itself. The portal reads them again at the next try, except for those in environment "
        "variables, for which it must be started again."
    ),
    credentials=True,
)
_UNKNOWN_KEY = AwsRefusal(
    phrase("AWS does not know the portal's access key, or the session token that came with it."),
    phrase(
        "The key was deleted or made inactive, is of another partition, or a token of another "
        "session is used with it. Give the portal valid credentials."
    ),
    credentials=True,
)
_WRONG_SECRET = AwsRefusal(
    phrase(
        "AWS finds the signature wrong: the portal's secret access key does not belong to its "
        "access key, or a proxy changes requests on their way."
    ),
    phrase(
        "Give the portal the key and the secret that belong together, without spaces around them; "
        "see that no proxy changes headers or the path."
    ),
    credentials=True,
)
_CLOCK = AwsRefusal(
    phrase(
        "The clock of the portal's host is too far from AWS's: AWS takes signatures of the last 5 "
        "minutes, S3 of 15."
    ),
    phrase("Set the host's clock, with NTP. The page Status says how far off it is."),
)
_NO_CREDENTIALS = AwsRefusal(
    phrase("There are no AWS credentials."),
    phrase(
        "Give the portal's processes a role, a credentials file or the variables that boto3 reads."
    ),
    credentials=True,
)
_ACCOUNT = AwsRefusal(
    phrase("The AWS account itself may not use this service."),
    phrase(
        "See in the console whether the account is suspended, unpaid, or not signed up for the "
        "service or the region."
    ),
)
_NO_BUCKET = AwsRefusal(
    phrase("There is no such bucket, or it is in another partition."),
    phrase(
        "Create it, or name the right one in MODEL_BUCKET and start the portal again. Nothing was "
        "lost: what waits goes on when the bucket is there."
    ),
)
_WRONG_REGION = AwsRefusal(
    phrase("The bucket or the endpoint is in another region than the one that was asked."),
    phrase(
        "Set AWS_REGION to the region of the bucket, in which the endpoints must be too, and start "
        "the portal again."
    ),
)
_KMS_DENIED = AwsRefusal(
    phrase("KMS does not let the portal use the key that encrypts the bucket's objects."),
    phrase(
        "Allow the portal's role kms:GenerateDataKey and kms:Decrypt, and SageMaker's execution "
        "role kms:Decrypt, both in the role's policy and in the key's own (docs/aws.md, "
        "Encryption)."
    ),
)
_KMS_KEY = AwsRefusal(
    phrase(
        "The KMS key that encrypts the bucket's objects is disabled, is being deleted, or is not "
        "there."
    ),
    phrase(
        "Enable the key or cancel its deletion; or name another one, with its whole ARN and of the "
        "bucket's region, in S3_KMS_KEY_ID. Objects stay encrypted with the key that wrote them."
    ),
)
_ENCRYPT = AwsRefusal(
    phrase(
        "A policy denies this write. Most such policies demand that objects are encrypted on the "
        "server's side in a certain way."
    ),
    phrase(
        "Set S3_ENCRYPTION to sse-s3 or sse-kms, and S3_KMS_KEY_ID where the policy names a key "
        "(docs/aws.md, Encryption). If it is set rightly, the policy names something else: read it."
    ),
)
_PASS_ROLE = AwsRefusal(
    phrase("The portal may not give the execution role to SageMaker."),
    phrase(
        "Allow its role iam:PassRole on EXECUTION_ROLE_ARN; docs/aws.md has the portal's "
        "whole policy.",
    ),
)
_EXECUTION_ROLE = AwsRefusal(
    phrase("SageMaker cannot take the execution role on, or that role may not do what it must."),
    phrase(
        "See that EXECUTION_ROLE_ARN is right, that the role's trust policy names "
        "sagemaker.amazonaws.com, and that it may read the store (and its KMS key) and pull the "
        "image; docs/aws.md has its whole policy."
    ),
)
_NO_ALARMS = AwsRefusal(
    phrase("Application Auto Scaling may not read or set the alarms that it scales by."),
    phrase(
        "Allow the portal's role the actions of CloudWatch's alarms that docs/aws.md names for "
        "autoscaling, and see that AWS's own role for autoscaling was not changed."
    ),
)
_ARCHIVED = AwsRefusal(
    phrase("The object is in an archive class of S3, from which it cannot be read at once."),
    phrase(
        "Restore it in S3 first, and take the store out of the lifecycle rule that archives it. "
        "Nothing was changed."
    ),
)
QUOTA = AwsRefusal(
    phrase("A quota of the AWS account is reached."),
    phrase(
        "Delete what is not needed, ask for less or for another instance type, or have AWS raise "
        "the quota (Service Quotas)."
    ),
)
QUOTA_CODES = {
    *("ResourceLimitExceeded", "LimitExceededException", "LimitExceeded", "LimitExceededFault"),
}
"""Codes of SageMaker, of Application Auto Scaling and of CloudWatch for it."""

_ACCOUNT_OWNER = phrase("whoever manages the AWS account")
_EXPLICIT = {
    "service control policy": phrase("the organization (a service control policy)"),
    "resource control policy": phrase("the organization (a resource control policy)"),
    "resource-based policy": phrase("the policy of the bucket, the key or the endpoint itself"),
    "identity-based policy": phrase("a policy of the portal's own role or user"),
    "permissions boundary": phrase("the permissions boundary of the portal's role"),
    "session policy": phrase("the policy of the session with which the role was taken on"),
    "vpc endpoint policy": phrase("the policy of the VPC endpoint through which the call went"),
}
_UNNAMED = phrase("a policy that AWS does not name")
_WHO = {
    "service control policy": phrase("whoever manages the organization"),
    "resource control policy": phrase("whoever manages the organization"),
    "vpc endpoint policy": phrase("whoever manages the network"),
}
_POLICIES = "|".join(_EXPLICIT)
# untranslated: AWS's words; it did not always say which policy it is.
_DENY = re.compile(rf"with an explicit deny(?: in an? ({_POLICIES}))?", re.I)
_NO_ALLOW = re.compile(rf"because no ({_POLICIES}) allows the ([\w-]+:\w+) action", re.I)
_ACTION = re.compile(r"not authorized to perform: ?([\w-]+:\w+)", re.I)
_OF_KMS = re.compile(r"\bkms:\w+|\bKMS\b.*(denied|not allowed|ciphertext)", re.I)
_OF_CLOCK = re.compile(
    r"signature (expired|not yet current)|request.*(too far|too skewed|has expired)"
    r"|difference between the request time", re.I
)  # fmt: skip
_OF_ROLE = re.compile(
    r"could not (assume role|access model data)|ensure that the role .*exists", re.I
)
_WRITES = {"PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy"}


def _denied(text: str, operation: str) -> AwsRefusal:
    """The refusal of a call that a policy denies."""
    if _OF_KMS.search(text):
        return _KMS_DENIED
    action = _ACTION.search(text)
    asked = action[1] if action else ""
    if asked.lower() == "iam:passrole" and not _DENY.search(text):
        return _PASS_ROLE
    if found := _DENY.search(text):
        return _explicit((found[1] or "").lower(), asked, operation)
    if found := _NO_ALLOW.search(text):
        policy, right = found[1].lower(), found[2]
        if policy == "identity-based policy":
            return AwsRefusal(
                phrase(
                    "The portal's role is not allowed %(right)s.",
                    right=right,
                ),
                phrase(
                    "Ask whoever manages the AWS account to give it this right; docs/aws.md has "
                    "the portal's whole policy.",
                ),
            )
        return AwsRefusal(
            phrase(
                "The portal is not allowed %(right)s: %(policy)s does not name it.",
                right=right,
                policy=_EXPLICIT[policy],
            ),
            phrase(
                "Ask %(who)s to allow it there; a right in the role's own policy is not enough.",
                who=_WHO.get(policy, _ACCOUNT_OWNER),
            ),
        )
    if operation in _WRITES and not asked:
        # S3 until 2024 and other servers say only "Access Denied".
        return AwsRefusal(
            phrase("S3 does not let the portal write this object, and does not say why."),
            phrase(
                "Either its role lacks a right (docs/aws.md has the portal's whole policy), or "
                "the bucket's policy demands encryption: then set S3_ENCRYPTION and "
                "S3_KMS_KEY_ID.",
            ),
        )
    right = asked or phrase("what it asked for")
    return AwsRefusal(
        phrase(
            "The portal is not allowed %(right)s.",
            right=right,
        ),
        phrase(
            "Ask whoever manages the AWS account to give its role this permission; "
            "docs/aws.md has the portal's whole policy.",
        ),
    )


def _explicit(policy: str, asked: str, operation: str) -> AwsRefusal:
    writes = asked.lower() == "s3:putobject" or (not asked and operation in _WRITES)
    if writes and policy in {
        "resource-based policy", "resource control policy", "service control policy", ""
    }:  # fmt: skip
        return _ENCRYPT
    return AwsRefusal(
        phrase(
            "An explicit deny forbids the portal %(action)s: %(policy)s.",
            action=asked or phrase("this"),
            policy=_EXPLICIT.get(policy, _UNNAMED),
        ),
        phrase(
            "No right that is given to the role helps against it. Ask %(who)s to take this "
            "portal out of the deny.",
            who=_WHO.get(policy, _ACCOUNT_OWNER),
        ),
    )


def _signature(text: str, operation: str) -> AwsRefusal:
    return _CLOCK if _OF_CLOCK.search(text) else _WRONG_SECRET


def _request_expired(text: str, operation: str) -> AwsRefusal:
    return _EXPIRED if "token" in text.lower() or "session" in text.lower() else _CLOCK


_CODES: dict[str, AwsRefusal | Callable[[str, str], AwsRefusal]] = {
    **dict.fromkeys(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"], _EXPIRED),
    **dict.fromkeys(
        [
            *("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"),
            *("UnrecognizedClient", "InvalidToken", "InvalidSecurity", "IncompleteSignature"),
        ],
        _UNKNOWN_KEY,
    ),
    **dict.fromkeys(
        ["SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignature", "AuthFailure"],
        _signature,
    ),
    **dict.fromkeys(["RequestTimeTooSkewed", "RequestInTheFuture"], _CLOCK),
    **dict.fromkeys(["RequestExpired", "RequestExpiredException"], _request_expired),
    **dict.fromkeys(
        ["MissingAuthenticationToken", "MissingAuthenticationTokenException"], _NO_CREDENTIALS
    ),
    **dict.fromkeys(
        [
            *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden"),
            *("NotAuthorized", "403", "401"),
        ],
        _denied,
    ),
    **dict.fromkeys(
        [
            *("AccountProblem", "NotSignedUp", "OptInRequired", "SubscriptionRequiredException"),
            *("AllAccessDisabled", "InvalidPayer"),
        ],
        _ACCOUNT,
    ),
    "FailedResourceAccessException": _NO_ALARMS,
    "NoSuchBucket": _NO_BUCKET,
    **dict.fromkeys(["InvalidObjectState", "ObjectNotInActiveTierError"], _ARCHIVED),
    **dict.fromkeys(
        [
            *("PermanentRedirect", "AuthorizationHeaderMalformed", "301", "TemporaryRedirect"),
            *("IllegalLocationConstraintException", "InvalidRegionException"),
        ],
        _WRONG_REGION,
    ),
    **dict.fromkeys(
        [
            *("KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"),
            *("KMS.InvalidStateException", "DisabledException"),
            *("KMSInvalidStateException", "KMS.InvalidKeyUsageException", "KMSNoSuchKey"),
        ],
        _KMS_KEY,
    ),
    **dict.fromkeys(["KMS.AccessDeniedException", "KMSAccessDeniedException"], _KMS_DENIED),
}


def recognised(code: str, text: str, operation: str, status: int = 0) -> AwsRefusal | None:
    """Find the refusal by an error's code, text and operation; None where it is another error."""
    found = _CODES.get(code)
    if found is None and code.startswith("KMS."):
        found = _KMS_KEY
    if found is None and code in {"ValidationException", "ValidationError"}:
        return _EXECUTION_ROLE if _OF_ROLE.search(text) else None
    if found is None and status in {401, 403}:
        found = _denied
    return found(text, operation) if callable(found) else found


NO_CREDENTIALS = _NO_CREDENTIALS
"""For boto3's exceptions about credentials that it cannot find or fetch."""
