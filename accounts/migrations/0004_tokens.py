import accounts.models
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_password_link_made_by'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Token',
            fields=[
                ('id', models.CharField(default=accounts.models._new_id, editable=False, max_length=16, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100, verbose_name='Name')),
                ('digest', models.CharField(help_text='SHA-256, in hexadecimal.', max_length=64, unique=True)),
                ('scopes', models.JSONField(default=list, help_text='Those that were asked for.')),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('last_used_from', models.GenericIPAddressField(null=True)),
                ('made_with', models.ForeignKey(help_text='The token with which it was made; it is revoked with it.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.token')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['user', '-created_at'], name='token_of_user')],
            },
        ),
    ]
