// Logs in with npm oauth4webapi, step by step; it talks as openid_client.mjs does.
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

const wanted = JSON.parse(process.argv[2]);
const say = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);
const plain = { [oauth.allowInsecureRequests]: true };

const issuer = new URL(wanted.issuer);
// The other of the two documents: RFC 8414.
const discovered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...plain });
const as = await oauth.processDiscoveryResponse(issuer, discovered);
const client = { client_id: wanted.client_id };
const proof = wanted.client_secret ? oauth.ClientSecretBasic(wanted.client_secret) : oauth.None();

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
let tokens, maxAge;

const userinfo = async (subject) => {
  const answer = await oauth.userInfoRequest(as, client, tokens.access_token, plain);
  return oauth.processUserInfoResponse(as, client, subject, answer);
};

const told = async (answer) => {
  await oauth.validateApplicationLevelSignature(as, answer, plain);
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const { scope, refresh_token, id_token } = tokens;
  return { claims, scope, refresh_token, id_token, userinfo: await userinfo(claims.sub) };
};

const acts = {
  async authorize(more) {
    maxAge = more.max_age === undefined ? undefined : Number(more.max_age);
    const url = new URL(as.authorization_endpoint);
    const challenge = await oauth.calculatePKCECodeChallenge(verifier);
    const said = {
      client_id: wanted.client_id,
      redirect_uri: wanted.redirect_uri,
      response_type: "code",
      scope: wanted.scope,
      code_challenge: challenge,
      code_challenge_method: "S256",
      state,
      nonce,
      ...more,
    };
    for (const [name, value] of Object.entries(said)) url.searchParams.set(name, value);
    return { url: url.href };
  },
  async callback({ url }) {
    const answered = oauth.validateAuthResponse(as, client, new URL(url), state);
    const answer = await oauth.authorizationCodeGrantRequest(
      as, client, proof, answered, wanted.redirect_uri, verifier, plain,
    );
    tokens = await oauth.processAuthorizationCodeResponse(as, client, answer, {
      expectedNonce: nonce,
      requireIdToken: true,
      maxAge,
    });
    return told(answer);
  },
  async refresh() {
    const answer = await oauth.refreshTokenGrantRequest(as, client, proof, tokens.refresh_token, plain);
    tokens = await oauth.processRefreshTokenResponse(as, client, answer);
    return told(answer);
  },
  async userinfo() {
    return userinfo(oauth.skipSubjectCheck);
  },
  async logout({ post_logout_redirect_uri }) {
    const url = new URL(as.end_session_endpoint);
    url.searchParams.set("id_token_hint", tokens.id_token);
    url.searchParams.set("post_logout_redirect_uri", post_logout_redirect_uri);
    url.searchParams.set("state", state);
    return { url: url.href, state };
  },
};

// Not earlier: lines that come before somebody iterates are lost.
for await (const line of createInterface({ input: process.stdin })) {
  const { act, ...more } = JSON.parse(line);
  try {
    say(await acts[act](more));
  } catch (error) {
    say({ error: error.code ?? error.name, message: error.message, told: error.error ?? error.cause?.message });
  }
}
