from . import bundles as bundles
from . import compare as compare
from . import deploy as deploy
from . import doctor as doctor
from . import history as history
from . import pretraining as pretraining
from . import run as run
from . import tune as tune
