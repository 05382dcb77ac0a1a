//! probe
use burn::tensor::*;
use std::time::Instant;
fn cpu()->f64{ let s=std::fs::read_to_string("/proc/self/stat").unwrap(); let v:Vec<&str>=s.rsplit(')').next().unwrap().split_whitespace().collect(); (v[11].parse::<f64>().unwrap()+v[12].parse::<f64>().unwrap())/100.0 }
fn t(name:&str, flops:f64, n:usize, mut f: impl FnMut()) { f(); let s=Instant::now(); let c=cpu(); for _ in 0..n {f();} let e=s.elapsed().as_secs_f64()/n as f64; let c=(cpu()-c)/n as f64; println!("{name}: wall {:.4}s {:.1} G/s   cpu {:.4} {:.1} G/cpu-s", e, flops/e/1e9, c, flops/c/1e9); }
fn main(){
 let d=Device::flex();
 let (m,n)=(4096usize,2048usize);
 for k in [384usize,512,544,576,608,640,704,768,1024] {
  let a=Tensor::<2>::random([m,k],Distribution::Default,&d); let b=Tensor::<2>::random([k,n],Distribution::Default,&d);
  let f=2.0*(m as f64)*(k as f64)*(n as f64);
  t(&format!("f32 k={k}"),f,8,||{ let _=a.clone().matmul(b.clone()); });
  let fa=faer::Mat::<f32>::from_fn(k,m,|i,j| (i+j) as f32*1e-3); let fb=faer::Mat::<f32>::from_fn(n,k,|i,j| (i*j) as f32*1e-6);
  let mut fc=faer::Mat::<f32>::zeros(n,m);
  t(&format!("  faer f32 k={k}"),f,8,||{ faer::linalg::matmul::matmul(fc.as_mut(),faer::Accum::Replace,fb.as_ref(),fa.as_ref(),1.0,faer::get_global_parallelism()); });
 }
 for n in [256usize,768] { let g=faer::Mat::<f64>::from_fn(n,n,|i,j| 1.0/((i+j+1) as f64)+ if i==j {i as f64} else {0.0}); for par in [faer::Par::Seq, faer::get_global_parallelism()] { faer::set_global_parallelism(par); t(&format!("eigen {n} {par:?}"),1.0,5,||{ let _=g.self_adjoint_eigen(faer::Side::Lower); }); } }
}
