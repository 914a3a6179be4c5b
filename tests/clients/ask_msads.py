"""Reads audiences with Microsoft Advertising's own SDK, in an environment of its own (msads.txt).

Argument: JSON with `token_url`, `origin` (under which `/CampaignManagement/v13` is), `client_id`,
`refresh_token`, `developer_token`, `customer`, `account` and `types`. Prints JSON: the refresh token that
came with the exchange, and each audience's id, name and two sizes.
"""

import json
import sys
from functools import reduce
from operator import or_

from bingads import authorization
from bingads.service_client import ServiceClient
from openapi_client.models.campaign import AudienceType, GetAudiencesByIdsRequest

given = json.loads(sys.argv[1])
addresses = authorization._UriOAuthService.AUTH_TOKEN_URI
addresses.update(dict.fromkeys(addresses, given["token_url"]))
grant = authorization.OAuthDesktopMobileAuthCodeGrant(client_id=given["client_id"])
grant.request_oauth_tokens_by_refresh_token(given["refresh_token"])
data = authorization.AuthorizationData(given["account"], given["customer"], given["developer_token"], grant)
service = ServiceClient("CampaignManagementService", 13, data, location=given["origin"])
types = reduce(or_, (AudienceType[word.upper()] for word in given["types"]))
found = service.get_audiences_by_ids(GetAudiencesByIdsRequest(Type=types, AudienceIds=None))
answer = {
    "refresh_token": grant.oauth_tokens.refresh_token,
    "audiences": [(a.Id, a.Name, a.SearchSize, a.AudienceNetworkSize) for a in found.Audiences],
}
print(json.dumps(answer))
