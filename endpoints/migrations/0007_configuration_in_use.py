from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('endpoints', '0006_states'),
    ]

    operations = [
        migrations.AddField(
            model_name='endpoint',
            name='config_in_use',
            field=models.CharField(blank=True, db_default='', default='', help_text='The endpoint config that SageMaker says it uses, as last seen.', max_length=63),
        ),
        migrations.AddField(
            model_name='endpoint',
            name='running_count',
            field=models.PositiveIntegerField(blank=True, help_text='How many instances SageMaker says run, as last seen.', null=True),
        ),
        migrations.AddField(
            model_name='resource',
            name='instance_count',
            field=models.PositiveIntegerField(blank=True, help_text='Of an outside config.', null=True),
        ),
        migrations.AddField(
            model_name='resource',
            name='instance_type',
            field=models.CharField(blank=True, db_default='', default='', help_text='Of an outside config.', max_length=40),
        ),
    ]
