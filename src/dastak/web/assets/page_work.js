// Do the sum that a page asks for when many codes are sent, and send its form on; without it, waiting does.
// SHA-256 (FIPS 180-4) is here because browsers have their own only behind TLS, and one call at a time.
"use strict";
(() => {
  const field = document.querySelector("input[name=altcha]");
  const line = document.getElementById("work");
  const asked = JSON.parse(atob(field.value));
  const waiting = line.textContent;
  const TRIED_AT_ONCE = 2000;

  // The first 32 bits behind the point of the square and cube roots of the first primes (4.2.2 and 5.3.3).
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const bits = (root) => ((root - Math.floor(root)) * 4294967296) | 0;
  const K = primes.map((prime) => bits(Math.cbrt(prime)));
  const H = primes.slice(0, 8).map((prime) => bits(Math.sqrt(prime)));
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  const w = new Int32Array(64);

  const sha256 = (text) => {
    const octets = text.length;
    const words = new Int32Array((((octets + 8) >> 6) + 1) * 16);
    for (let n = 0; n < octets; n++) words[n >> 2] |= text.charCodeAt(n) << (24 - 8 * (n & 3));
    words[octets >> 2] |= 0x80 << (24 - 8 * (octets & 3));
    words[words.length - 1] = octets * 8;
    const hash = Int32Array.from(H);
    for (let at = 0; at < words.length; at += 16) {
      for (let n = 0; n < 64; n++) {
        const x = w[n - 15], y = w[n - 2];
        w[n] = n < 16 ? words[at + n]
          : w[n - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[n - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      }
      let [a, b, c, d, e, f, g, h] = hash;
      for (let n = 0; n < 64; n++) {
        const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[n] + w[n]) | 0;
        const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
      }
      [a, b, c, d, e, f, g, h].forEach((word, n) => { hash[n] += word; });
    }
    return hash;
  };

  const wanted = H.map((_, n) => parseInt(asked.challenge.slice(8 * n, 8 * n + 8), 16) | 0);
  const search = (from) => {
    const to = Math.min(from + TRIED_AT_ONCE, asked.maxnumber + 1);
    for (let number = from; number < to; number++) {
      const hash = sha256(asked.salt + number);
      if (hash[0] !== wanted[0] || !wanted.every((word, n) => hash[n] === word)) continue;
      const { algorithm, challenge, salt, signature } = asked;
      field.value = btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
      // A page that was refused after all is sent by its reader alone, so that it never goes round and round.
      // A field that is called `submit` would be in its place.
      if (line.dataset.goes) HTMLFormElement.prototype.submit.call(field.form);
      else line.textContent = waiting;
      return;
    }
    if (to <= asked.maxnumber) setTimeout(search, 0, to);
    else line.textContent = waiting;
  };
  line.textContent = line.dataset.busy;
  search(0);
})();
