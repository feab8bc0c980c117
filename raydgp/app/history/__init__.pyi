from . import exporting as exporting
from . import importers as importers
from . import recording as recording
