// A foreign SMSC for the tests, made with npm smpp: it behaves as the last two digits of the destination say.
// Arguments: a JSON object with system_id, password, `behaviour` for all numbers, `mute`, a command it never answers, and for TLS key, cert and ca.
// Says its port, then each PDU it got. What takes more than one message is in misbehaviour.js.
"use strict";
const smpp = require("smpp");
const settings = JSON.parse(process.argv[2]);

smpp.addTLV("pe_id", { id: 0x1400, type: smpp.types.tlv.cstring });

const say = (fact) => process.stdout.write(JSON.stringify(fact) + "\n");

const states = { DELIVRD: 2, UNDELIV: 5, REJECTD: 8 };
const held = [];
let taken = 0;

function receipt(session, pdu, id, word = "DELIVRD", err = "000") {
  session.deliver_sm({
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:2611231059 done date:2611231100 stat:${word} err:${err} text:`,
    receipted_message_id: id,
    message_state: states[word],
  }, (response) => say({ command: response.command, status: response.command_status }));
}

const behaviours = {
  ...require("./misbehaviour.js")(settings),
  // Taken; each line on standard input, as "UNDELIV 650", is the receipt of the next one that waits for its own.
  "20": (session, pdu) => {
    const id = `held-${++taken}`;
    session.send(pdu.response({ message_id: id }));
    held.push((word, err) => receipt(session, pdu, id, word, err));
  },
  "21": (session, pdu) => {
    const id = `told-${++taken}`;
    session.send(pdu.response({ message_id: id }));
    receipt(session, pdu, id);
  },
  "00": (session, pdu) => {
    session.send(pdu.response({ message_id: "id-00" }));
    receipt(session, pdu, "id-00");
  },
  "01": (session, pdu) => session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED })),
  "02": (session, pdu) => session.send(pdu.response({ command_status: 0x412 })),
  "03": () => {},
  "04": (session) => session.socket.destroy(),
  "05": (session, pdu) => {
    receipt(session, pdu, "id-05");
    session.send(pdu.response({ message_id: "id-05" }));
  },
  "06": (session, pdu) => {
    // An error with a body, and octets after it; npm smpp itself would leave the body out.
    const body = Buffer.from("id-06\0rubbish");
    const head = Buffer.alloc(16);
    [16 + body.length, 0x80000004, 8, pdu.sequence_number].forEach((word, n) => head.writeUInt32BE(word, 4 * n));
    session.socket.write(Buffer.concat([head, body]));
  },
  "07": (session, pdu) => {
    session.socket.write(Buffer.from("00000010000102030000000000000063", "hex"));
    session.send(pdu.response({ message_id: "id-07" }));
  },
  "08": (session, pdu) => {
    session.alert_notification({ source_addr: pdu.destination_addr, esme_addr: "otp" });
    session.data_sm({ source_addr: pdu.destination_addr, destination_addr: "56161", message_payload: "STOP" },
      (response) => say({ command: response.command, status: response.command_status }));
    session.send(pdu.response({ message_id: "id-08" }));
  },
  "09": (session, pdu) => {
    session.send(pdu.response({ message_id: "id-09" }));
    session.unbind((response) => say({ command: response.command, status: response.command_status }));
  },
};

function bind(session, pdu) {
  if (pdu.system_id !== settings.system_id) {
    session.send(pdu.response({ command_status: smpp.ESME_RINVSYSID }));
  } else if (pdu.password !== settings.password) {
    session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
  } else {
    session.send(pdu.response({ system_id: "npm" }));
  }
}

function fields(pdu) {
  const shown = {};
  for (const [name, value] of Object.entries(pdu)) {
    shown[name] = name === "short_message" ? value.message : value;
  }
  return shown;
}

const options = settings.key ? { key: settings.key, cert: settings.cert, ca: settings.ca } : {};
if (settings.ca) {
  options.requestCert = true;
  options.rejectUnauthorized = true;
}

const server = smpp.createServer(options, (session) => {
  session.on("error", () => {});
  for (const kind of ["bind_transceiver", "bind_transmitter", "bind_receiver"]) {
    session.on(kind, (pdu) => settings.mute === "bind" || bind(session, pdu));
  }
  session.on("enquire_link", (pdu) => {
    say({ command: "enquire_link" });
    if (settings.mute !== "enquire_link") session.send(pdu.response());
  });
  session.on("unbind", (pdu) => {
    say({ command: "unbind" });
    session.send(pdu.response());
  });
  session.on("generic_nack", (pdu) => say(fields(pdu)));
  session.on("submit_sm", (pdu) => {
    say(fields(pdu));
    behaviours[settings.behaviour || pdu.destination_addr.slice(-2)](session, pdu);
  });
});
server.on("tlsClientError", () => {});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
const told = require("readline").createInterface({ input: process.stdin });
told.on("line", (line) => held.shift()(...line.split(" ")));
told.on("close", () => process.exit(0));
