import numpy as np, snapmla

meta, splits = snapmla.get_mla_metadata()
q, kv = (snapmla.to_bf16(np.random.randn(*shape)) for shape in ((1, 1, 16, 576), (1, 64, 1, 576)))
out, lse = snapmla.flash_mla_with_kvcache(q, kv, np.zeros((1, 1), np.int32), np.array([50], np.int32), 512, meta, splits)
print(out.shape, lse.shape, "finite" if np.isfinite(snapmla.from_bf16(out)).all() else "NaN")
