import hashlib

from django.db import migrations


def note_labels(apps, schema_editor):
    """Write the labels that reports have to where a search finds them; the reports stay."""
    Version = apps.get_model('models_catalog', 'Version')
    LabelFile = apps.get_model('models_catalog', 'LabelFile')
    known = {}
    rows = Version.objects.exclude(state='rejected').filter(label_file=None).only('report')
    for version in rows.iterator(chunk_size=100):
        labels = (version.report.get('artifact') or {}).get('labels') or []
        if not labels or any('\n' in str(label) for label in labels):
            continue
        text = '\n'.join(str(label) for label in labels)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest not in known:
            known[digest] = LabelFile.objects.get_or_create(sha256=digest, defaults={'text': text})[0].pk
        Version.objects.filter(pk=version.pk).update(label_file=known[digest])


class Migration(migrations.Migration):

    dependencies = [
        ('models_catalog', '0018_labels_and_indexes'),
    ]

    operations = [
        migrations.RunPython(note_labels, migrations.RunPython.noop),
    ]
