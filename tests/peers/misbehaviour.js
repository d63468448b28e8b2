// What carriers do that no standard wants, as further behaviours of smsc.js; each by the last two digits of the destination.
"use strict";
const smpp = require("smpp");

smpp.addTLV("vendor_operator", { id: 0x1503, type: smpp.types.tlv.cstring });
smpp.addTLV("vendor_octets", { id: 0x3fff, type: smpp.types.tlv.buffer });

// Two of three reach their phones.
const stat = (pdu) => (pdu.destination_addr.slice(-3, -2) % 3 ? "DELIVRD" : "UNDELIV");

function report(session, pdu, text, more = {}) {
  session.deliver_sm({
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: 4,
    short_message: text,
    ...more,
  });
}

const line = (id, word) =>
  `id:${id} sub:001 dlvrd:001 submit date:2611231059 done date:2611231100 stat:${word} err:000 text:`;

module.exports = (settings) => {
  const waiting = [];
  let number = 0x1a2b3c4d;
  let throttled = null;
  let throttles = 5;
  let cut = false;
  return {
    // The answer is hexadecimal, the receipt decimal.
    "10": (session, pdu) => {
      const id = number++;
      session.send(pdu.response({ message_id: id.toString(16) }));
      report(session, pdu, line(id, stat(pdu)));
    },
    // The answer is decimal, the receipt hexadecimal with zeros before it and in capitals.
    "11": (session, pdu) => {
      const id = number++;
      session.send(pdu.response({ message_id: String(id) }));
      report(session, pdu, line(id.toString(16).toUpperCase().padStart(12, "0"), stat(pdu)));
    },
    // The receipt is written as the test says, and brings no TLV.
    "12": (session, pdu) => {
      const id = String(number++);
      session.send(pdu.response({ message_id: id }));
      report(session, pdu, settings.receipt.replace("{id}", id));
    },
    // The first bind that sends is refused a few times in a row, without a body.
    "13": (session, pdu) => {
      throttled ??= session;
      if (session === throttled && throttles-- > 0) {
        session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
      } else {
        session.send(pdu.response({ message_id: "taken" + pdu.sequence_number + (session === throttled) }));
      }
    },
    // Ten messages wait; then come some receipts, all answers the other way round, and all receipts twice.
    "14": (session, pdu) => {
      waiting.push(pdu);
      if (waiting.length < 10) return;
      const told = waiting.splice(0);
      const tell = (one) => report(session, one, line("shuffled" + one.destination_addr, stat(one)));
      const odd = told.filter((_, place) => place % 2);
      odd.forEach(tell);
      told.reverse().forEach((one) => session.send(one.response({ message_id: "shuffled" + one.destination_addr })));
      told.filter((one) => !odd.includes(one)).forEach(tell);
      told.forEach(tell);
    },
    // Twenty messages wait; then one bind is cut with all that is on it, and the others get their answers.
    "15": (session, pdu) => {
      const take = (one, on) => on.send(one.response({ message_id: "kept" + one.sequence_number }));
      if (cut) return take(pdu, session);
      waiting.push([pdu, session]);
      if (waiting.length < 20) return;
      cut = true;
      session.socket.destroy();
      waiting.splice(0).forEach(([one, on]) => on === session || take(one, on));
    },
    // TLVs that nobody knows, in the answer and in the receipt.
    "16": (session, pdu) => {
      const unknown = { vendor_octets: Buffer.from("00ff00ff", "hex") };
      session.send(pdu.response({ message_id: "tlv", ...unknown }));
      report(session, pdu, line("tlv", "DELIVRD"), { ...unknown, vendor_operator: "40445" });
    },
  };
};
