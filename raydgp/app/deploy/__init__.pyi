from .deploy import Deployment as Deployment
from .deploy import Tools as Tools
from .deploy import deploy_run as deploy_run
from .profile import Profile as Profile
from .rivals import RIVALS as RIVALS
