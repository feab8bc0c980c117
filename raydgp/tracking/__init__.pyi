from . import model_registry as model_registry
from .process import TrackerProcess as TrackerProcess
from .process import sync as sync
from .state import how_to_look as how_to_look
from .state import is_complete as is_complete
from .uris import check as check
