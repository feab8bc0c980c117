from . import model_registry as model_registry
from .process import TrackerProcess as TrackerProcess
from .process import sync as sync
from .uris import check as check
