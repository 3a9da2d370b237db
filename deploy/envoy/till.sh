#!/usr/bin/env bash
# A till of bash, curl and OpenSSL 3: it sells for points over HTTP/JSON, as envoy.yaml serves it.
#
#   till.sh enrol                       the enrolment code comes on standard input
#   till.sh redeem OFFER PIECES REF     the member's payment code comes on standard input
#   till.sh lookup REF                  what became of a sale
#   till.sh refund REF AMOUNT OP_REF    gives part of it back
#   till.sh reverse REF                 undoes a sale whose answer never came
#
# REF is the till's own reference, another one for each sale, and OP_REF for each refund: letters,
# digits, `.`, `_` and `-`. The answer is the server's JSON. Exit code 0: done; 1: refused, and
# standard error says why; 2: outcome unknown. A repeated command is the same request, and is carried
# out once; should its code have expired meanwhile, look the sale up, or reverse it.
#
#   TIMEBANK_TERMINAL   ledgers/weihai/merchants/barber/terminals/till-2
#   TIMEBANK_TILL_KEY   file of the till's private key, till.pem; `enrol` makes it
#   TIMEBANK_TOKEN      bearer token; none is needed in development
#   TIMEBANK_HTTP       where Envoy listens, http://127.0.0.1:8080
set -euo pipefail
umask 077

server=${TIMEBANK_HTTP:-http://127.0.0.1:8080}
terminal=${TIMEBANK_TERMINAL:?expected ledgers/LEDGER/merchants/MERCHANT/terminals/TERMINAL}
merchant=${terminal%/terminals/*}
key=${TIMEBANK_TILL_KEY:-till.pem}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "content-type: application/json" > "$work/headers"
# In a file: the machine's list of processes shows arguments.
[ -z "${TIMEBANK_TOKEN:-}" ] || echo "authorization: Bearer $TIMEBANK_TOKEN" >> "$work/headers"

sha256() { openssl dgst -sha256 -r | cut -c 1-64; }
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
public_key() { openssl pkey -in "$key" -pubout -outform DER | tail -c 32 | base64url; }
read_code() { tr -d ' \r\n-' | tr '[:lower:]' '[:upper:]'; }

# Signs lines joined by line feeds, with none at the end: Ed25519, RFC 8032.
sign() {
  (IFS=$'\n' && printf '%s' "$*") > "$work/lines"
  openssl pkeyutl -sign -rawin -inkey "$key" -in "$work/lines" | base64url
}

# Makes the id of a request, a UUID, out of what it asks for.
request_id() {
  local hash
  hash=$(printf '%s\n' "$terminal" "$@" | sha256)
  echo "${hash:0:8}-${hash:8:4}-4${hash:13:3}-8${hash:17:3}-${hash:20:12}"
}

# Calls the server. What fails on the way is tried again, with the same signature.
call() {
  local status
  status=$(curl --silent --show-error --max-time 15 --retry 2 --retry-connrefused \
    --header "@$work/headers" --output "$work/answer" --write-out '%{http_code}' "$@") || status=000
  case $status in
    200) cat "$work/answer" && echo ;;
    4[0-8]?) cat "$work/answer" >&2 && echo >&2 && exit 1 ;;
    *)
      echo "UNKNOWN 结果未知 ($status): hand nothing out; repeat the command, or look the sale up" >&2
      exit 2
      ;;
  esac
}

# Makes a call that the till signs: method, path, merchant_ref, amount, code, and its other fields.
signed_call() {
  local method=$1 path=$2 ref=$3 amount=$4 code=$5 fields=$6 digest='' id now nonce signature
  id=$(request_id "$@")
  now=$(date +%s)
  nonce=$(openssl rand -hex 16)
  [ -z "$code" ] || digest=$(printf '%s' "$code" | sha256)
  signature=$(sign TB1 "$method" "$id" "$ref" "$amount" "$digest" "$now" "$nonce")
  call --header "timebank-terminal: $terminal" --header "timebank-timestamp: $now" \
    --header "timebank-nonce: $nonce" --header "timebank-signature: $signature" \
    --data @- "$server/v1/$path" <<< "{\"requestId\": \"$id\", \"merchantRef\": \"$ref\"$fields}"
}

enrol() {
  local code public proof
  code=$(read_code)
  [ -e "$key" ] || openssl genpkey -algorithm ed25519 -out "$key"
  public=$(public_key)
  proof=$(sign TB1-ENROL "$terminal" "$(printf '%s' "$code" | sha256)" "$public")
  call --data @- "$server/v1/$terminal:enroll" <<< "{\"requestId\": \"$(request_id "$code" "$public")\",
    \"enrolmentCode\": \"$code\", \"publicKey\": \"$public\", \"proof\": \"$proof\"}"
}

redeem() {
  local code
  code=$(read_code)
  signed_call RedeemPoints "$merchant/redemptions:redeem" "$3" 0 "$code" ", \"quantity\": $2,
    \"offer\": \"$merchant/offers/$1\", \"terminal\": \"$terminal\", \"paymentCode\": \"$code\""
}

lookup() {
  call --get --data-urlencode "merchantRef=$1" "$server/v1/$merchant/redemptions:lookup"
}

refund() {
  local found name
  found=$(lookup "$1")
  name=$(grep -o '"name":"[^"]*"' <<< "$found" | cut -d '"' -f 4)
  signed_call RefundRedemption "$name:refund" "$1" "$2" '' ", \"amount\": $2, \"opRef\": \"$3\""
}

reverse() {
  signed_call ReverseRedemption "$merchant/redemptions:reverse" "$1" 0 '' ''
}

for word in "${@:2}"; do
  [[ $word =~ ^[A-Za-z0-9._-]+$ ]] || { echo "not a word for a till: $word" >&2 && exit 1; }
done
case "${1:-} $#" in
  'enrol 1' | 'redeem 4' | 'lookup 2' | 'refund 4' | 'reverse 2') "$@" ;;
  *) sed -n '4,8s/^# *//p' "${BASH_SOURCE[0]}" >&2 && exit 1 ;;
esac
