// SHA-256 (FIPS 180-4) and MD5 (RFC 1321) of what comes in parts. The browser's own crypto.subtle wants everything at once,
// and is not there at all where a page does not come over TLS or from this machine.

const SHA_START = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
const MD5_START = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
const MD5_SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const SHA_CONSTANTS = new Int32Array(64);
for (let count = 0, n = 2; count < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) {
    prime &&= n % d !== 0;
  }
  if (prime) {
    const root = Math.cbrt(n);
    SHA_CONSTANTS[count++] = Math.floor((root - Math.floor(root)) * 2 ** 32) | 0;
  }
}
const MD5_CONSTANTS = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0);

class Digest {
  #block = new Uint8Array(64);
  #view = new DataView(this.#block.buffer);
  #filled = 0;
  #length = 0;

  constructor(start, littleEndian) {
    this.state = Int32Array.from(start);
    this.littleEndian = littleEndian;
  }

  update(bytes) {
    this.#length += bytes.length;
    let from = 0;
    if (this.#filled > 0) {
      from = Math.min(64 - this.#filled, bytes.length);
      this.#block.set(bytes.subarray(0, from), this.#filled);
      this.#filled += from;
      if (this.#filled < 64) {
        return this;
      }
      this.compress(this.#view, 0);
      this.#filled = 0;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (; from + 64 <= bytes.length; from += 64) {
      this.compress(view, from);
    }
    this.#block.set(bytes.subarray(from));
    this.#filled = bytes.length - from;
    return this;
  }

  /** The digest in lower-case hex. Ends this object's use. */
  hex() {
    const bits = this.#length * 8;
    this.update(Uint8Array.of(0x80));
    while (this.#filled !== 56) {
      this.update(new Uint8Array(this.#filled < 56 ? 56 - this.#filled : 64 - this.#filled));
    }
    const high = Math.floor(bits / 2 ** 32);
    const low = bits % 2 ** 32;
    const end = new DataView(new ArrayBuffer(8));
    end.setUint32(this.littleEndian ? 4 : 0, high, this.littleEndian);
    end.setUint32(this.littleEndian ? 0 : 4, low, this.littleEndian);
    this.update(new Uint8Array(end.buffer));
    const result = new DataView(new ArrayBuffer(this.state.length * 4));
    this.state.forEach((word, i) => result.setInt32(i * 4, word, this.littleEndian));
    return Array.from(new Uint8Array(result.buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

export class Sha256 extends Digest {
  #words = new Int32Array(64);

  constructor() {
    super(SHA_START, false);
  }

  compress(view, at) {
    const w = this.#words;
    for (let i = 0; i < 16; i++) {
      w[i] = view.getInt32(at + i * 4);
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = this.state;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + SHA_CONSTANTS[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => {
      this.state[i] += word;
    });
  }
}

export class Md5 extends Digest {
  constructor() {
    super(MD5_START, true);
  }

  compress(view, at) {
    let [a, b, c, d] = this.state;
    for (let i = 0; i < 64; i++) {
      const round = i >> 4;
      let mixed;
      let word;
      if (round === 0) {
        mixed = (b & c) | (~b & d);
        word = i;
      } else if (round === 1) {
        mixed = (d & b) | (~d & c);
        word = 5 * i + 1;
      } else if (round === 2) {
        mixed = b ^ c ^ d;
        word = 3 * i + 5;
      } else {
        mixed = c ^ (b | ~d);
        word = 7 * i;
      }
      const sum = (a + mixed + MD5_CONSTANTS[i] + view.getInt32(at + (word & 15) * 4, true)) | 0;
      const shift = MD5_SHIFTS[round * 4 + (i & 3)];
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    [a, b, c, d].forEach((word, i) => {
      this.state[i] += word;
    });
  }
}

const PART = 1 << 20;

/** Both digests of a file, read part by part, so that a large one neither fills the memory nor holds up the page. */
export async function digestsOf(file, onProgress, isStopped = () => false) {
  const sha256 = new Sha256();
  const md5 = new Md5();
  for (let from = 0; from < file.size && !isStopped(); from += PART) {
    const part = new Uint8Array(await file.slice(from, from + PART).arrayBuffer());
    sha256.update(part);
    md5.update(part);
    onProgress(from + part.length);
  }
  return { sha256: sha256.hex(), md5: md5.hex() };
}
