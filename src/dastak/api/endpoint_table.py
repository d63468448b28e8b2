"""All endpoints of the native API, in the order of its reference."""

from typing import Final

from dastak.api import (
    admin_endpoints,
    carrier_endpoints,
    code_page_endpoints,
    dlt_endpoints,
    factor_endpoints,
    lead_endpoints,
    login_endpoints,
    native,
    oidc_endpoints,
    reply_endpoints,
    report_endpoints,
    route_endpoints,
)

ENDPOINTS: Final = (
    *native.ENDPOINTS,
    *code_page_endpoints.ENDPOINTS,
    *factor_endpoints.ENDPOINTS,
    *lead_endpoints.ENDPOINTS,
    *reply_endpoints.ENDPOINTS,
    *report_endpoints.ENDPOINTS,
    *admin_endpoints.ENDPOINTS,
    *login_endpoints.ENDPOINTS,
    *carrier_endpoints.ENDPOINTS,
    *dlt_endpoints.ENDPOINTS,
    *route_endpoints.ENDPOINTS,
    *oidc_endpoints.ENDPOINTS,
)
