"""Clients of AWS for `botocore.stub.Stubber`: to make one takes longer than most tests with it."""

import functools
from typing import Any

import boto3

_make = boto3.client  # some tests put another in its place


@functools.cache
def client(service: str) -> Any:
    """The one of this process for a service; who registers for its events ends that."""
    return _make(service, region_name="ap-northeast-2")
