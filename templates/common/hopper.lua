-- Limits of the hardware.
return {
  max_smem = 232448, -- bytes of dynamic shared memory that a block may have
  reserved_smem = 1024, -- that every block takes besides
}
