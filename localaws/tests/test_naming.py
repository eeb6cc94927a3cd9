import pytest

from localaws.aws_errors import AwsError
from localaws.naming import parse_model_data_url


@pytest.mark.parametrize(
    "url",
    [
        "s3://bkt/a/b/",
        "s3://bkt/a/b",
        "https://s3-ap-northeast-2.amazonaws.com/bkt/a/b/",
        "https://s3.ap-northeast-2.amazonaws.com/bkt/a/b/",
        "https://s3.amazonaws.com/bkt/a/b/",
        "https://bkt.s3.ap-northeast-2.amazonaws.com/a/b/",
        "https://bkt.s3-ap-northeast-2.amazonaws.com/a/b",
        "https://bkt.s3.amazonaws.com/a/b/",
    ],
)
def test_every_way_to_write_a_prefix(url):
    source = parse_model_data_url(url)
    assert (source.bucket, source.prefix) == ("bkt", "a/b/")
    assert source.key("sub/m.tar.gz") == "a/b/sub/m.tar.gz"
    assert source.key("/m.tar.gz") == "a/b/m.tar.gz"


def test_a_whole_bucket_is_a_prefix_too():
    assert parse_model_data_url("s3://bkt").key("m.tar.gz") == "m.tar.gz"
    assert parse_model_data_url("s3://my.dotted.bkt/").bucket == "my.dotted.bkt"


def test_percent_signs_are_decoded_in_https_only():
    assert parse_model_data_url("https://s3.amazonaws.com/b/a%20b/").prefix == "a b/"
    assert parse_model_data_url("s3://b/a%20b/").prefix == "a%20b/"


@pytest.mark.parametrize("url", ["https://example.com/b/p/", "http://s3.amazonaws.com/b/", "s3:/b"])
def test_it_refuses_what_is_not_s3(url):
    with pytest.raises(AwsError, match="Could not parse ModelDataUrl"):
        parse_model_data_url(url)
