import core.clock
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def rename_content_types(before, after):
    """What users may do is kept by content type: permissions follow it to its new app.

    Where there are none yet, as in a new database, Django makes them after the migrations. Where a
    model has one in each app, as after another release ran in between, both are left.
    """

    def rename(apps, schema_editor):
        content_types = apps.get_model("contenttypes", "ContentType").objects.using(schema_editor.connection.alias)
        there = content_types.filter(app_label=after).values_list("model", flat=True)
        moving = {"picture", "invocation"} - set(there)
        content_types.filter(app_label=before, model__in=moving).update(app_label=after)

    return rename


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
        ('endpoints', '0005_invocations_moved'),
        ('models_catalog', '0006_clock_and_step'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(rename_content_types("endpoints", "invocations"), rename_content_types("invocations", "endpoints")),
        # The tables are those of the app ``endpoints``, where these models were before.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='Picture',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('sha256', models.CharField(max_length=64, unique=True)),
                        ('name', models.CharField(max_length=255)),
                        ('content_type', models.CharField(max_length=40)),
                        ('data', models.BinaryField()),
                        ('thumbnail', models.BinaryField()),
                        ('scaled', models.CharField(blank=True, max_length=200)),
                        ('used_at', models.DateTimeField(db_index=True, default=core.clock.now)),
                    ],
                    options={
                        'db_table': 'endpoints_picture',
                        'default_permissions': (),
                    },
                ),
                migrations.CreateModel(
                    name='Invocation',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('target_model', models.CharField(max_length=1024)),
                        ('created_at', models.DateTimeField(default=core.clock.now, editable=False)),
                        ('state', models.CharField(choices=[('running', 'Running'), ('loading', 'The model is loading'), ('done', 'Answered'), ('failed', 'Failed')], db_index=True, default='running', max_length=10)),
                        ('seen_at', models.DateTimeField(default=core.clock.now, help_text='When its process last said that it is under way.')),
                        ('error', models.TextField(blank=True, help_text='What went wrong, as a sentence.')),
                        ('picture_name', models.CharField(blank=True, max_length=255)),
                        ('picture_sha256', models.CharField(blank=True, max_length=64)),
                        ('thumbnail', models.BinaryField(blank=True, help_text='A small JPEG, for the history.')),
                        ('sent_bytes', models.PositiveIntegerField(default=0)),
                        ('scaled', models.CharField(blank=True, help_text='How the picture was made smaller, if it was.', max_length=200)),
                        ('predictions', models.JSONField(default=list, help_text='Best first: [{"label": str, "probability": float}].')),
                        ('cold', models.BooleanField(help_text='None where the container does not say.', null=True)),
                        ('attempts', models.PositiveIntegerField(default=0, help_text='Calls made; more than 1: waited.')),
                        ('latency_ms', models.FloatField(help_text='From the first call to the answer.', null=True)),
                        ('timings', models.JSONField(default=dict, help_text='Where the time went, in ms: load_ms, decode_ms, infer_ms, …')),
                        ('request_id', models.CharField(blank=True, help_text='x-amzn-RequestId.', max_length=64)),
                        ('variant', models.CharField(blank=True, max_length=63)),
                        ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='invocations', to='endpoints.endpoint')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invocations', to='models_catalog.version')),
                    ],
                    options={
                        'db_table': 'endpoints_invocation',
                        'ordering': ['-id'],
                        'default_permissions': ('view',),
                        'indexes': [models.Index(fields=['endpoint', 'target_model', '-id'], name='endpoints_i_endpoin_c4c91d_idx')],
                    },
                ),
            ]
        ),
    ]
