import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_preferences'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='PasswordLink',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='password_link', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('digest', models.CharField(help_text='SHA-256, in hexadecimal.', max_length=64, unique=True)),
                ('expires_at', models.DateTimeField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
    ]
