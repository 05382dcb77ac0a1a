//! The lower triangle of a matrix as square tiles, which threads work on in parallel.

use faer::{Mat, MatMut};
use rayon::prelude::*;

/// Calls `work` for every tile that meets the lower triangle, with the tile's first row, its first
/// column and the tile itself. Tiles have `size` rows and columns; those at the edges have fewer.
pub fn for_each_lower(
    lower: &mut Mat<f64>,
    size: usize,
    work: impl Fn(usize, usize, MatMut<'_, f64>) + Sync,
) {
    let mut tiles = Vec::new();
    let mut rest = lower.as_mut();
    let mut column = 0;
    // Panels of columns, each cut into tiles from the diagonal down.
    while rest.ncols() > 0 {
        let width = size.min(rest.ncols());
        let (panel, others) = rest.split_at_col_mut(width);
        rest = others;
        let (_, mut panel) = panel.split_at_row_mut(column);
        let mut row = column;
        while panel.nrows() > 0 {
            let height = size.min(panel.nrows());
            let (tile, below) = panel.split_at_row_mut(height);
            tiles.push((row, column, tile));
            panel = below;
            row += height;
        }
        column += width;
    }
    tiles.into_par_iter().for_each(|(row, column, tile)| work(row, column, tile));
}
