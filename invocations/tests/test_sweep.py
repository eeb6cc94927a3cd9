"""The sweep over calls and pictures, which beat calls."""

from datetime import timedelta

from django.utils import timezone

from invocations import pictures_kept, services, tasks
from invocations.models import Invocation, Picture
from mmeportal.settings import CELERY_BEAT_SCHEDULE


def test_beat_calls_the_sweep():
    assert tasks.sweep.name in {entry["task"] for entry in CELERY_BEAT_SCHEDULE.values()}


def test_the_sweep_marks_lost_calls(serving, make_version):
    def call(age_s, state):
        row = Invocation.objects.create(
            endpoint=serving, version=version, target_model="t", state=state
        )
        at = timezone.now() - timedelta(seconds=age_s)
        Invocation.objects.filter(pk=row.pk).update(seen_at=at)
        return row

    version = make_version()
    old = 27
    lost = [call(old, Invocation.State.RUNNING), call(old, Invocation.State.LOADING)]
    kept = [call(old, Invocation.State.DONE), call(10, Invocation.State.LOADING)]
    services.sweep()
    for row in lost:
        row.refresh_from_db()
        assert row.state == Invocation.State.FAILED
        assert "Call the model again" in row.error
    for row in kept:
        state = row.state
        row.refresh_from_db()
        assert row.state == state


def test_the_sweep_forgets_pictures_after_a_day(db):
    old, new = (
        Picture.objects.create(sha256=c * 64, name=c, data=b"1", thumbnail=b"2") for c in "ab"
    )
    Picture.objects.filter(pk=old.pk).update(used_at=timezone.now() - timedelta(hours=25))
    services.sweep()
    assert list(Picture.objects.all()) == [new]


def test_a_picture_that_is_sent_while_others_are_swept_stays(db, objects, monkeypatch):
    first, second = (
        Picture.objects.create(sha256=c * 64, name=c, data=b"", thumbnail=b"2", key=f"pictures/{c}")
        for c in "ab"
    )
    Picture.objects.update(used_at=timezone.now() - timedelta(hours=25))
    objects.kept = {"pictures/a": b"1", "pictures/b": b"1"}

    class Slow:
        @staticmethod
        def delete(*, bucket, key):
            objects.delete(bucket=bucket, key=key)
            left = Picture.objects.exclude(key=key)
            left.update(used_at=timezone.now())  # as keep_now() does

    monkeypatch.setattr(pictures_kept, "s3", Slow)
    pictures_kept.sweep()
    (kept,) = Picture.objects.all()
    assert kept in (first, second)
    assert list(objects.kept) == [kept.key]
