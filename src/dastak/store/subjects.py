"""All that a store says of everything but the way of a code, on whatever database has a desk."""

from dastak.store.carrier_tables import CarrierTables
from dastak.store.code_page_tables import CodePageTables
from dastak.store.desk import Desk
from dastak.store.dlt_tables import DltTables
from dastak.store.factor_tables import FactorTables
from dastak.store.landing_tables import LandingTables
from dastak.store.lead_hook_tables import LeadHookTables
from dastak.store.oidc_tables import OidcTables
from dastak.store.past_tables import PastTables
from dastak.store.people_tables import PeopleTables
from dastak.store.reply_tables import ReplyTables
from dastak.store.tenancy_tables import TenancyTables
from dastak.store.voice_tables import VoiceTables


# Inherited from, against the rule: one object is several ports, and methods that only pass on say nothing.
class Subjects(ReplyTables, CarrierTables, DltTables, TenancyTables, PastTables):
    """What a store inherits, to add to it how verifications and messages are written and read.

    Attributes:
        factors, code_pages, people, oidc, landing, lead_hooks, voices: The ports of these subjects.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.factors = FactorTables(desk)
        self.code_pages = CodePageTables(desk)
        self.people = PeopleTables(desk)
        self.oidc = OidcTables(desk)
        self.landing = LandingTables(desk)
        self.lead_hooks = LeadHookTables(desk)
        self.voices = VoiceTables(desk)
