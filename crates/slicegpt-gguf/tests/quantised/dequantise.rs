//! Decodes blocks by the description of the format, `d * q` and `d * q - m`, with the bit layout of
//! `ggml-common.h`.

use slicegpt_gguf::Type;

fn half(bytes: &[u8]) -> f32 {
    half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// The values of whole blocks.
pub fn dequantise(ty: Type, bytes: &[u8]) -> Vec<f32> {
    let value: fn(&[u8], usize) -> f32 = match ty {
        Type::F32 => |b, _| f32::from_le_bytes(b.try_into().unwrap()),
        Type::F16 => |b, _| half(b),
        Type::Bf16 => |b, _| half::bf16::from_le_bytes([b[0], b[1]]).to_f32(),
        Type::Q8_0 => |b, i| half(b) * f32::from(b[2 + i].cast_signed()),
        Type::Q4_0 => |b, i| half(b) * (f32::from(nibble(&b[2..], i)) - 8.0),
        Type::Q4_1 => |b, i| half(b) * f32::from(nibble(&b[4..], i)) + half(&b[2..]),
        Type::Q5_0 => |b, i| {
            let fifth = b[2 + i / 8] >> (i % 8) & 1;
            half(b) * (f32::from(nibble(&b[6..], i) | fifth << 4) - 16.0)
        },
        Type::Q5_1 => |b, i| {
            let fifth = b[4 + i / 8] >> (i % 8) & 1;
            half(b) * f32::from(nibble(&b[8..], i) | fifth << 4) + half(&b[2..])
        },
        Type::Q2K => |b, i| {
            let scale = b[i / 16];
            let q = pair(&b[16..80], i);
            half(&b[80..]) * f32::from(scale & 15) * f32::from(q)
                - half(&b[82..]) * f32::from(scale >> 4)
        },
        Type::Q3K => |b, i| {
            let group = i / 16;
            let low = b[96 + group % 8] >> (4 * (group / 8)) & 15;
            let high = b[104 + group % 4] >> (2 * (group / 4)) & 3;
            let third = b[i % 32] >> (i / 32) & 1;
            let q = f32::from(pair(&b[32..96], i) | third << 2) - 4.0;
            half(&b[108..]) * (f32::from(low | high << 4) - 32.0) * q
        },
        Type::Q4K => |b, i| {
            let q = b[16 + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15;
            scaled(b, i / 32, q)
        },
        Type::Q5K => |b, i| {
            let q = b[48 + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15;
            let fifth = b[16 + i % 32] >> (i / 32) & 1;
            scaled(b, i / 32, q | fifth << 4)
        },
        Type::Q6K => |b, i| {
            let (part, l) = (i / 128, i % 32);
            let quarter = i % 128 / 32;
            let low = b[64 * part + 32 * (quarter % 2) + l] >> (4 * (quarter / 2)) & 15;
            let high = b[128 + 32 * part + l] >> (2 * quarter) & 3;
            let scale = f32::from(b[192 + i / 16].cast_signed());
            half(&b[208..]) * scale * (f32::from(low | high << 4) - 32.0)
        },
    };
    let block = ty.block();
    bytes.chunks_exact(ty.bytes(block)).flat_map(|b| (0..block).map(move |i| value(b, i))).collect()
}

/// Value `i` of 32. The first half is in the low nibbles.
fn nibble(bytes: &[u8], i: usize) -> u8 {
    bytes[i % 16] >> (4 * (i / 16)) & 15
}

/// The two bits of value `i` of 256.
fn pair(bytes: &[u8], i: usize) -> u8 {
    bytes[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3
}

/// `d * scale * q - dmin * min` of group `group` of 8.
fn scaled(b: &[u8], group: usize, q: u8) -> f32 {
    let s = &b[4..16];
    let (scale, min) = match group {
        0..4 => (s[group] & 63, s[group + 4] & 63),
        _ => (s[group + 4] & 15 | s[group - 4] >> 6 << 4, s[group + 4] >> 4 | s[group] >> 6 << 4),
    };
    half(b) * f32::from(scale) * f32::from(q) - half(&b[2..]) * f32::from(min)
}
