//! probe
use burn::tensor::*;
use std::time::Instant;
fn cpu()->f64{ let s=std::fs::read_to_string("/proc/self/stat").unwrap(); let v:Vec<&str>=s.rsplit(')').next().unwrap().split_whitespace().collect(); (v[11].parse::<f64>().unwrap()+v[12].parse::<f64>().unwrap())/100.0 }
fn t(name:&str, flops:f64, n:usize, mut f: impl FnMut()) { f(); let s=Instant::now(); let c=cpu(); for _ in 0..n {f();} let e=s.elapsed().as_secs_f64()/n as f64; let c=(cpu()-c)/n as f64; println!("{name}: wall {:.4}s {:.1} G/s   cpu {:.4} {:.1} G/cpu-s", e, flops/e/1e9, c, flops/c/1e9); }
fn main(){
 let d=Device::flex();
 for (m,k,n) in [(4096usize,576usize,768usize),(4096,576,2048),(4096,2048,768),(4096,768,576),(2048,2048,2048)] {
  let a=Tensor::<2>::random([m,k],Distribution::Default,&d); let b=Tensor::<2>::random([k,n],Distribution::Default,&d); let bt=Tensor::<2>::random([n,k],Distribution::Default,&d).transpose();
  let f=2.0*(m as f64)*(k as f64)*(n as f64);
  t(&format!("f32 2d {m}x{k}x{n}"),f,10,||{ let _=a.clone().matmul(b.clone()); });
  t(&format!("f32 2d bt {m}x{k}x{n}"),f,10,||{ let _=a.clone().matmul(bt.clone()); });
  let a3=a.clone().reshape([8,m/8,k]);
  t(&format!("f32 linear batch8 {m}x{k}x{n}"),f,10,||{ let _=burn::tensor::module::linear(a3.clone(),b.clone(),None); });
 }
 let h=Tensor::<3>::random([8,512,2048],Distribution::Default,&d);
 t("silu",1.0,5,||{ let _=activation::silu(h.clone()); });
 t("mul",1.0,5,||{ let _=h.clone()*h.clone(); });
 let q=Tensor::<4>::random([8,12,512,64],Distribution::Default,&d);
 let o=||burn::tensor::ops::AttentionModuleOptions{is_causal:true,..Default::default()};
 t("attn 8x12x512x64", 8.0*12.0*4.0*512.*512.*64.,5, ||{ let _=burn::tensor::module::attention(q.clone(),q.clone(),q.clone(),None,None,o());});
 t("attn chunk128", 8.0*12.0*4.0*512.*512.*64.,5, ||{ let v:Vec<_>=(0..4).map(|i|{let e=(i+1)*128; burn::tensor::module::attention(q.clone().narrow(2,i*128,128),q.clone().narrow(2,0,e),q.clone().narrow(2,0,e),None,None,o())}).collect(); let _=Tensor::cat(v,2);});
 let x=Tensor::<3>::random([8,512,768],Distribution::Default,&d);
 let mut c=slicegpt_calibrate::Covariance::new(768);
 t("gram 4096x768",4096.*768.*768.,5,||{ c.add(x.clone(),None); });
 t("principal 768",1.0,5,||{ let _=slicegpt_calibrate::principal(&c,576,&mut slicegpt_calibrate::Orientation::Pca); });
 let w=Tensor::<2>::random([768,2048],Distribution::Default,&d);
 let b=Tensor::<2>::random([768,576],Distribution::Default,&d).cast(DType::F64);
 t("edit read 768x2048",2.*768.*2048.*576.,5,||{ let _=b.clone().transpose().matmul(w.clone().cast(DType::F64)).cast(DType::F32); });
 let n=slicegpt_core::Norm::bare(768,1e-5);
 t("norm",1.0,5,||{ let _=n.forward(x.clone()); });
}
