from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('endpoints', '0025_prices_of_aws'),
    ]

    operations = [
        migrations.AddField(
            model_name='endpoint',
            name='modified_at',
            field=models.DateTimeField(blank=True, help_text="SageMaker's LastModifiedTime, as last seen.", null=True),
        ),
    ]
