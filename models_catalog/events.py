"""What the activity log says about models and versions: a sentence for each event code."""

from typing import Final

from django.utils.translation import gettext_noop as _

TEMPLATES: Final = {
    "model.registered": _("Registered the model %(name)s."),
    "model.registered_in": _("Registered the model %(name)s in the store %(store)s."),
    "model.deleted": _(
        "Deleted the model %(name)s, of which nothing was published (rejected versions: "
        "%(versions)s)."
    ),
    "model.tags_added": _("Gave the model %(name)s these tags: %(added)s."),
    "model.tags_removed": _("Took these tags off the model %(name)s: %(removed)s."),
    "model.tags_changed": _(
        "Changed the tags of the model %(name)s. Added: %(added)s. Removed: %(removed)s."
    ),
    "model.owner_changed": _(
        "Changed the owner of the model %(name)s from %(before)s to %(owner)s."
    ),
    "model.described": _(
        "Changed the description of the model %(name)s (%(before)s characters before, %(now)s now)."
    ),
    "version.uploaded": _("Uploaded %(version)s (%(file_name)s, %(size)s bytes)."),
    "version.note_changed": _("Changed the note of %(version)s from “%(before)s” to “%(note)s”."),
    "version.metadata_changed": _("Changed the metadata of %(version)s. %(changes)s"),
    "version.published": _("Validated %(version)s and published it as %(target_model)s."),
    "version.published_same_bytes": _(
        "Validated %(version)s and published it as %(target_model)s. It has the same bytes as "
        "%(twin)s."
    ),
    "version.published_same_content": _(
        "Validated %(version)s and published it as %(target_model)s. It has the same content as "
        "%(twin)s."
    ),
    # The same three, where the bytes as uploaded are not kept.
    "version.published_without_upload": _(
        "Validated %(version)s and published it as %(target_model)s. The file as uploaded could "
        "not be kept: %(problem)s"
    ),
    "version.published_same_bytes_without_upload": _(
        "Validated %(version)s and published it as %(target_model)s. It has the same bytes as "
        "%(twin)s. The file as uploaded could not be kept: %(problem)s"
    ),
    "version.published_same_content_without_upload": _(
        "Validated %(version)s and published it as %(target_model)s. It has the same content as "
        "%(twin)s. The file as uploaded could not be kept: %(problem)s"
    ),
    "version.copy_requested": _("Requested a copy of %(source)s: %(version)s."),
    "version.copied": _("Copied %(source)s: %(version)s can be called as %(target_model)s."),
    "version.found": _("Asked for %(version)s, which lay in the store as %(target_model)s."),
    "version.registered": _(
        "Validated %(version)s where it lay, and registered it: %(target_model)s."
    ),
    "version.repacked": _("Asked for %(version)s, a canonical copy of %(source)s."),
    "version.object_gone": _("The object of %(version)s is gone from the store: %(uri)s."),
    "version.object_changed": _(
        "The object of %(version)s in the store is not the one that was published: %(uri)s."
    ),
    "version.object_right": _("The object of %(version)s is right again: %(uri)s."),
    "store.appeared": _("Found an object in the store that no version knows: %(uri)s."),
    "store.appeared_more": _("Found %(count)s more such objects in %(store)s."),
    "store.cleared": _("An object that no version knew is gone, or registered: %(uri)s."),
    "store.cleared_more": _("So are %(count)s more in %(store)s."),
    "store.added": _("Added the store %(store)s: %(url)s."),
    "store.tested": _("Tested the store %(store)s: the portal may do there all that was tried."),
    "store.tested_refused": _(
        "Tested the store %(store)s: the portal may not do all that was tried. Refused: %(rights)s."
    ),
    "store.groups": _(
        "Only these groups see the store %(store)s: %(groups)s. Those that write: %(writers)s."
    ),
    "store.opened": _("Opened the store %(store)s to everybody."),
    "store.retired": _("Retired the store %(store)s."),
    "store.restored": _("Restored the store %(store)s."),
    "version.rejected": _("Rejected %(version)s: %(reason)s"),
    "version.retired": _("Retired %(version)s: it is offered and called here no more."),
    "version.unretired": _("Restored %(version)s: it can be called again."),
    "version.deletion_requested": _("Requested the deletion of what %(version)s is stored as."),
    "version.deleted": _("Deleted what %(version)s was stored as: %(uri)s."),
    "version.dismissed": _("Took the rejected version %(version)s off the page Today."),
    "version.restored": _("Put the rejected version %(version)s back on the page Today."),
    "alias.made": _("Made the alias %(alias)s: it is %(version)s."),
    "alias.made_because": _("Made the alias %(alias)s: it is %(version)s. The reason: %(reason)s"),
    "alias.moved": _("Moved the alias %(alias)s from %(before)s to %(version)s."),
    "alias.moved_because": _(
        "Moved the alias %(alias)s from %(before)s to %(version)s. The reason: %(reason)s"
    ),
    "alias.rolled_back": _("Rolled the alias %(alias)s back from %(before)s to %(version)s."),
    "alias.rolled_back_because": _(
        "Rolled the alias %(alias)s back from %(before)s to %(version)s. The reason: %(reason)s"
    ),
    "alias.removed": _("Deleted the alias %(alias)s, which was %(before)s."),
    "alias.removed_because": _(
        "Deleted the alias %(alias)s, which was %(before)s. The reason: %(reason)s"
    ),
    "quota.set": _("Set the storage quota of %(name)s to %(gigabytes)s GB."),
    "quota.lifted": _("Lifted the storage quota of %(name)s: there is no limit."),
    "quota.usual": _("Gave %(name)s the usual storage quota again."),
}
