//! [`MultiplyAdd`]: the operation that plain loops cannot leave to the compiler, because it rounds
//! once or twice.

/// An instruction set with its multiply-add.
pub(crate) trait MultiplyAdd: Copy {
    /// `a * b + c`, rounded once where the set has an instruction for it.
    fn multiply_add(self, a: f32, b: f32, c: f32) -> f32;
}
