-- How long a signal takes between two blocks of a cluster, through an mbarrier in distributed shared memory.
return {
  family = "ceiling_cluster",
  entry = "snapmla_ceiling_cluster",
  about = "sends a signal between the first and the last block of a cluster and back",
  axes = {
    { name = "cluster", values = { 1, 2, 4, 8 }, default = 2,
      about = "blocks of a cluster; 1: between two warps of one block, for comparison" },
  },
  rules = {},
  derived = function() return { threads = 64, smem_bytes = 16 } end,
}
