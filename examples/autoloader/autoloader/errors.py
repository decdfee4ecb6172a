"""What can go wrong, as a person would say it.

AutoloaderError
├── SettingsError             the settings file says something that means nothing
├── NotLoadable               this file can never be loaded as it is; it is set aside with the reason
├── ChangedWhileRead          the file was written to while it was read; the next trigger takes it
├── LibraryRetriesOn          the table lets pyiceberg repeat commits by itself
└── CommitGaveUp              too many conflicts in a row
"""


class AutoloaderError(Exception):
    """Base of everything this example raises on purpose."""


class SettingsError(AutoloaderError):
    """A setting is missing, misspelt or out of range."""


class NotLoadable(AutoloaderError):
    """The file can never be loaded as it is; the message is the reason written beside it."""


class ChangedWhileRead(AutoloaderError):
    """The bytes that were read are not the bytes that were identified."""


class LibraryRetriesOn(AutoloaderError):
    """The table's own properties let pyiceberg repeat a commit without looking for the identity again."""


class CommitGaveUp(AutoloaderError):
    """Every attempt of one commit met a conflict or an unknown outcome."""
