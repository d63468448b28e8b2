// Logs in with npm openid-client: one JSON line says where, the answers go out and orders come in as JSON lines.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const wanted = JSON.parse(process.argv[2]);
const say = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);

const proof = wanted.client_secret ? client.ClientSecretBasic(wanted.client_secret) : client.None();
const config = await client.discovery(new URL(wanted.issuer), wanted.client_id, {}, proof, {
  execute: [client.allowInsecureRequests],
});
client.enableNonRepudiationChecks(config);

const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
let tokens, maxAge;

const told = (claims) => ({ claims, scope: tokens.scope, refresh_token: tokens.refresh_token, id_token: tokens.id_token });

const acts = {
  async authorize(more) {
    maxAge = more.max_age === undefined ? undefined : Number(more.max_age);
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: wanted.redirect_uri,
      scope: wanted.scope,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
      ...more,
    });
    return { url: url.href };
  },
  async callback({ url }) {
    tokens = await client.authorizationCodeGrant(config, new URL(url), {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
      maxAge,
    });
    const claims = tokens.claims();
    return { ...told(claims), userinfo: await client.fetchUserInfo(config, tokens.access_token, claims.sub) };
  },
  async refresh() {
    tokens = await client.refreshTokenGrant(config, tokens.refresh_token);
    const claims = tokens.claims();
    return { ...told(claims), userinfo: await client.fetchUserInfo(config, tokens.access_token, claims.sub) };
  },
  async userinfo() {
    return client.fetchUserInfo(config, tokens.access_token, client.skipSubjectCheck);
  },
  async logout({ post_logout_redirect_uri }) {
    const url = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri, state });
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
