// Verifies terminal_signatures.json as a till written in JavaScript would: makes the text of each
// vector from its fields, signs it, and checks the signature. Nothing but Node's own crypto.
// node verify_terminal_signatures.mjs [file]

import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const file = process.argv[2] ?? new URL("terminal_signatures.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf-8"));
// RFC 8410: an Ed25519 private key in PKCS #8 is this and the 32 bytes of the seed.
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const base64url = (hex) => Buffer.from(hex, "hex").toString("base64url");

function privateKey(seedHex) {
  const key = Buffer.concat([PKCS8, Buffer.from(seedHex, "hex")]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

function publicKey(hex) {
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: base64url(hex) }, format: "jwk" });
}

function tillCall(call) {
  const digest = call.code === "" ? "" : sha256(call.code);
  const { method, request_id, merchant_ref, amount, timestamp, nonce } = call;
  return ["TB1", method, request_id, merchant_ref, amount, digest, timestamp, nonce];
}

function enrolment({ terminal, code, public_key_hex }) {
  return ["TB1-ENROL", terminal, sha256(code), base64url(public_key_hex)];
}

function rotation({ terminal, public_key_hex, new_public_key_hex }) {
  const oldKeyId = sha256(Buffer.from(public_key_hex, "hex")).slice(0, 16);
  return ["TB1-ROTATE", terminal, oldKeyId, base64url(new_public_key_hex)];
}

// Returns what is wrong with the four fields that `prefix` begins; nothing when all is well.
function* faults(vector, lines, prefix = "") {
  const text = Buffer.from(lines.join("\n"), "utf-8");
  if (text.toString("hex") !== vector[`${prefix}canonical_hex`]) yield "another text";
  const own = privateKey(vector[`${prefix}seed_hex`]);
  const signature = Buffer.from(vector[`${prefix}signature_hex`], "hex");
  if (!sign(null, text, own).equals(signature)) yield "another signature";
  const key = publicKey(vector[`${prefix}public_key_hex`]);
  if (!verify(null, text, key, signature)) yield "a signature that does not verify";
  text[text.length - 1] ^= 1;
  if (verify(null, text, key, signature)) yield "a signature that verifies a changed text";
}

let count = 0;
let wrong = 0;
function check(vector, lines, prefix) {
  count += 1;
  for (const fault of faults(vector, lines, prefix)) {
    wrong += 1;
    console.error(`${vector.name}: ${fault}`);
  }
}

for (const call of vectors.till_calls) check(call, tillCall(call));
for (const item of vectors.enrolments) check(item, enrolment(item));
for (const item of vectors.rotations) {
  check(item, rotation(item));
  check(item, rotation(item), "new_");
}
console.log(`${count} signatures, ${wrong} faults`);
process.exitCode = wrong === 0 && count > 0 ? 0 : 1;
