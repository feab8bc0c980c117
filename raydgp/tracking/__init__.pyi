from . import model_registry as model_registry
from .process import TrackerProcess as TrackerProcess
from .process import sync as sync
from .uris import check as check
from .uris import how_to_look as how_to_look
