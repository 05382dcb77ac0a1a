//! [`MultiplyAdd`]: the one operation that plain loops cannot leave to the compiler. A compiler may
//! not fuse a multiplication and an addition, because that changes the rounding.

/// An instruction set with its multiply-add.
pub(crate) trait MultiplyAdd: Copy {
    /// `a * b + c`, rounded once where the set has an instruction for it.
    fn multiply_add(self, a: f32, b: f32, c: f32) -> f32;
}
