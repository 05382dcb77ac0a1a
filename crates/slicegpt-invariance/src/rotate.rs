//! [`rotate`]: the stream in other bases, without cutting it.

use slicegpt_core::{Basis, Block, Fused, Shortcut, SublayerMut, read_in, write_in};

/// Rotates `block`: sublayer `i` reads the stream in `bases[i]` and writes it in `bases[i + 1]`
/// (SliceGPT, equations 4 to 7). Bases of full rank change no output beyond rounding.
///
/// # Panics
///
/// If the number of bases is not one more than that of the sublayers.
pub fn rotate<B: Block>(block: Fused<B>, bases: &[Basis]) -> Fused<B> {
    let mut block = block.into_inner();
    assert_eq!(bases.len(), block.sublayers() + 1, "one basis around every sublayer");
    for (index, pair) in bases.windows(2).enumerate() {
        let [from, to] = pair else { unreachable!("windows of two") };
        let SublayerMut { readers, writers, shortcut, .. } = block.sublayer_mut(index);
        let weight = writers[0].weight.val();
        let [from, to] = [from, to].map(|basis| basis.on(&weight.device()));
        let (from, to) = (&from, &to);
        *shortcut = Shortcut::between(from, to, weight.dtype());
        readers.into_iter().for_each(|reader| read_in(reader, from));
        writers.into_iter().for_each(|writer| write_in(writer, to));
    }
    Fused::new(block).unwrap_or_else(|_| unreachable!("rotating changes no norm"))
}
