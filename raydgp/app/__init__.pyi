from . import deploy as deploy
from . import doctor as doctor
from . import pretraining as pretraining
from . import tune as tune
