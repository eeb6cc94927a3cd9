from django.db import migrations


class Migration(migrations.Migration):
    """The class ``Model`` is called ``RegisteredModel``; its table and permissions keep their names.

    No statement changes a table: Django renames a model without one where ``db_table`` stays. It
    also renames the content type, which the permissions of users and roles hang on.
    """

    dependencies = [("models_catalog", "0006_clock_and_step")]

    operations = [
        migrations.AlterModelTable(name="model", table="models_catalog_model"),
        migrations.AlterModelOptions(
            name="model",
            options={
                "default_permissions": (),
                "ordering": ["name"],
                "permissions": [
                    ("add_model", "Can add model"),
                    ("change_model", "Can change model"),
                    ("delete_model", "Can delete model"),
                    ("view_model", "Can view model"),
                ],
                "verbose_name": "model",
            },
        ),
        migrations.RenameModel(old_name="Model", new_name="RegisteredModel"),
    ]
