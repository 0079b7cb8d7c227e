# riscv64: the loop that calls rows, the server around it, library calls. Rows, control block, labels: see x86-64.s.
# Control block, besides: byte 41: the machine has vector registers, fill them with noise.
 .option norelax
 .option norvc
.macro addr r, v
 li \r, \v
.endm
start: addr t0, CONTROL
 ld t1,0(t0)
 ld ra,0(t1)
 beqz ra,done
 ld sp,8(t1)
 lbu t2,41(t0)
 beqz t2,1f
 vsetvli t2,zero,e64,m8,ta,ma
 addi t2,t0,320
 vle64.v v0,(t2)
 vle64.v v8,(t2)
 vle64.v v16,(t2)
 vle64.v v24,(t2)
1:
 .irp n,0,1,2,3,4,5,6,7,8,9,10,11
 fld fs\n,320+16*\n(t0)
 fld ft\n,512+16*\n(t0)
 ld s\n,64+8*\n(t0)
 .endr
 .irp n,0,1,2,3,4,5,6,7
 fld fa\n,704+16*\n(t0)
 ld a\n,160+8*\n(t0)
 .endr
 ld t1,224(t0)
 ld t2,232(t0)
 ld t3,240(t0)
 ld t4,248(t0)
 ld t5,256(t0)
 ld t6,264(t0)
 ld t0,272(t0)
 jalr ra,0(ra)
 addr t0, CONTROL
 ld t1,0(t0)
 li t6,0
 .irp n,0,1,2,3,4,5,6,7,8,9,10,11
 ld t2,64+8*\n(t0)
 ld t3,320+16*\n(t0)
 fmv.x.d t4,fs\n
 xor t2,t2,s\n
 xor t3,t3,t4
 or t6,t6,t2
 or t6,t6,t3
 .endr
 ld t2,64(t1)
 or t6,t6,t2
 ld t2,8(t1)
 xor t2,t2,sp
 or t6,t6,t2
 bnez t6,bad
 ld t2,16(t1)
 sd t2,0(t0)
 j start
bad: .word 0
done: j answer
 nop

server: li a7,167
 li a0,1
 li a1,9
 ecall
 addr a0, ARENA
 li a1, STUB-ARENA
 li a2,5
 li a5,0
 jal map
 addr a0, CONTROL
 li a1, 0x100000+ROWS_SIZE
 li a2,3
 li a5, CONTROL-ARENA
 jal map
 addr a0, STACK
 li a1, STACK_SIZE
 li a2,3
 li a5, STACK-ARENA
 jal map
 addr s0, DATA
 li s1, DATA-ARENA
 li s2, SLOTS
 li s3, SLOT_STRIDE
1: mv a0,s0
 li a1, SLOT_SIZE
 li a2,3
 mv a5,s1
 jal map
 add s0,s0,s3
 add s1,s1,s3
 addi s2,s2,-1
 bnez s2,1b
 lla a0,altstack
 li a1,0
 li a7,132
 ecall
 lla s0,signals
2: lbu a0,0(s0)
 beqz a0,3f
 lla a1,action
 li a2,0
 li a3,8
 li a7,134
 ecall
 addi s0,s0,1
 j 2b
3: li a0,1
 lla a1,timer
 li a2,0
 li a7,103
 ecall
 lla a0,descriptor
 lw a0,0(a0)
 li a7,57
 ecall
 lla a0,program
 lw a0,0(a0)
 li a7,57
 ecall
answer: li a0,1
 addr a1, CONTROL+1024
 li a2,1
 li a7,64
 ecall
 li a0,0
 addr a1, CONTROL+1024
 li a2,1
 li a7,63
 ecall
 li a1,1
 bne a0,a1,quit
 addr t0, CONTROL
 ld a1,8(t0)
 beqz a1,4f
 addr a0, ARENA
 li a2,3
 li a7,226
 ecall
 addr t0, CONTROL
 ld a1,8(t0)
 addr a0, ARENA
 li a2,5
 li a7,226
 ecall
4: addr t0, CONTROL
 sd zero,16(t0)
 sd zero,24(t0)
 fence.i
 j start
map: li a3,0x11
 lla a4,descriptor
 lw a4,0(a4)
 mv t0,a0
 li a7,222
 ecall
 bne a0,t0,quit
 ret
quit: li a0,9
 li a7,94
 ecall

# handler(a0 signal, a1 siginfo, a2 ucontext); pc at 176.
handler: addr t0, CONTROL
 ld t1,0(t0)
 li t2,26
 bne a0,t2,6f
 ld t2,16(t0)
 beq t1,t2,5f
 sd t1,16(t0)
 sd zero,24(t0)
 ret
5: ld t2,24(t0)
 addi t2,t2,1
 sd t2,24(t0)
 ld t3,32(t0)
 bltu t2,t3,7f
 ld t2,176(a2)
 addr t3, ARENA
 sub t2,t2,t3
 li t3, STUB-ARENA
 bgeu t2,t3,7f
6: li t2,4
 beq a0,t2,emulate
fault: ld t2,176(a2)
 lla t3,touch
 bltu t2,t3,8f
 lla t3,touched
 bgeu t2,t3,8f
 ld t2,56(t0)
8: sd a0,32(t1)
 sd t2,40(t1)
 ld t2,16(a1)
 sd t2,48(t1)
 lw t2,8(a1)
 sd t2,56(t1)
 ld t2,16(t1)
 sd t2,0(t0)
 j start
7: ret

# An illegal instruction of Zcb, Zicond or Zfa, which qemu 7.2 lacks, is done here on the saved registers: x at 176 + 8n
# (x0's place is the pc), f at 432 + 8n. Row and control block stay in t1 and t0; the control block keeps the pc at 56
# while memory is touched, so that such a fault is the instruction's own.
.macro get r, shift
 srli t5,t3,\shift
 andi t5,t5,31
 slli t6,t5,3
 add t6,t6,a2
 ld \r,176(t6)
 bnez t5,9f
 li \r,0
9:
.endm
.macro fget r, shift
 srli t5,t3,\shift
 andi t5,t5,31
 slli t5,t5,3
 add t5,t5,a2
 fld \r,432(t5)
.endm
.macro match mask, value, to
 li t5,\mask
 and t5,t3,t5
 li t6,\value
 beq t5,t6,\to
.endm
emulate: ld t2,176(a2)
 lhu t3,0(t2)
 andi t4,t3,3
 beqz t4,quadrant0
 li t5,3
 beq t4,t5,long
 match 0xfc63, 0x9c41, c_mul
 match 0xfc63, 0x9c61, c_unary
 j fault
c_mul: srli t4,t3,2
 andi t4,t4,7
 slli t4,t4,3
 add t4,t4,a2
 ld a4,240(t4)
 srli t5,t3,7
 andi t5,t5,7
 slli t5,t5,3
 add t5,t5,a2
 ld a3,240(t5)
 mul a3,a3,a4
 j c_done
c_unary: srli t5,t3,7
 andi t5,t5,7
 slli t5,t5,3
 add t5,t5,a2
 ld a3,240(t5)
 srli t4,t3,2
 andi t4,t4,7
 li t6,5
 bgtu t4,t6,fault
 beq t4,t6,c_not
 li a4,56
 li t6,2
 bltu t4,t6,1f
 li a4,48
 li t6,4
 bltu t4,t6,1f
 li a4,32
1: sll a3,a3,a4
 andi t4,t4,1
 bnez t4,2f
 srl a3,a3,a4
 j c_done
2: sra a3,a3,a4
 j c_done
c_not: not a3,a3
c_done: sd a3,240(t5)
done2: addi t2,t2,2
 sd t2,176(a2)
 ret
quadrant0: srli t4,t3,10
 addi t4,t4,-0x20
 li t6,4
 bgeu t4,t6,fault
 srli t5,t3,7
 andi t5,t5,7
 slli t5,t5,3
 add t5,t5,a2
 ld t5,240(t5)
 srli a3,t3,4
 andi a3,a3,2
 srli a4,t3,6
 andi a4,a4,1
 add t5,t5,a3
 andi t6,t4,1
 bnez t6,1f
 add t5,t5,a4
1: srli a5,t3,2
 andi a5,a5,7
 slli a5,a5,3
 add a5,a5,a2
 sd t2,56(t0)
 ld a3,240(a5)
 li t6,1
 beq t4,t6,c_half
 bgtu t4,t6,c_store
touch: lbu a3,0(t5)
 j c_loaded
c_half: bnez a4,1f
 lhu a3,0(t5)
 j c_loaded
1: lh a3,0(t5)
c_loaded: sd a3,240(a5)
 j done2
c_store: andi t4,t4,1
 bnez t4,1f
 sb a3,0(t5)
 j done2
1: bnez a4,c_refused
 sh a3,0(t5)
touched: j done2
c_refused: j fault
long: lhu t4,2(t2)
 slli t4,t4,16
 or t3,t3,t4
 match 0xfe00707f, 0x0e005033, czero_eqz
 match 0xfe00707f, 0x0e007033, czero_nez
 match 0xfff0707f, 0xf0100053, fli_s
 match 0xfff0707f, 0xf2100053, fli_d
 match 0xfe00707f, 0x28002053, fminm_s
 match 0xfe00707f, 0x28003053, fmaxm_s
 match 0xfe00707f, 0x2a002053, fminm_d
 match 0xfe00707f, 0x2a003053, fmaxm_d
 match 0xfff0007f, 0x40400053, fround_s
 match 0xfff0007f, 0x42400053, fround_d
 j fault
czero_eqz: get a3,15
 get a4,20
 bnez a4,put
 li a3,0
 j put
czero_nez: get a3,15
 get a4,20
 beqz a4,put
 li a3,0
put: srli t5,t3,7
 andi t5,t5,31
 beqz t5,done4
 slli t5,t5,3
 add t5,t5,a2
 sd a3,176(t5)
done4: addi t2,t2,4
 sd t2,176(a2)
 ret
fput: srli t5,t3,7
 andi t5,t5,31
 slli t5,t5,3
 add t5,t5,a2
 fsd ft0,432(t5)
 j done4
.macro fli_load
 srli t5,t3,15
 andi t5,t5,31
 slli t4,t5,3
 lla t6,fli_table
 add t6,t6,t4
 fld ft0,0(t6)
.endm
fli_d: fli_load
 j fput
fli_s: fli_load
 fcvt.s.d ft0,ft0
 li t6,1
 bne t5,t6,fput
 lui t6,0x800
 fmv.w.x ft0,t6
 j fput
.macro extremum width op
 fget ft0,15
 fget ft1,20
 feq.\width t5,ft0,ft0
 feq.\width t6,ft1,ft1
 and t5,t5,t6
 beqz t5,9f
 \op\().\width ft0,ft0,ft1
 j fput
9: fadd.\width ft0,ft0,ft1
 j fput
.endm
fminm_s: extremum s fmin
fmaxm_s: extremum s fmax
fminm_d: extremum d fmin
fmaxm_d: extremum d fmax
.macro set_mode
 frrm t6
 srli t5,t3,12
 andi t5,t5,7
 li t4,7
 beq t5,t4,9f
 fsrm t5
9:
.endm
fround_s: fget ft0,15
 set_mode
 fabs.s ft1,ft0
 lui t5,0x4b000
 fmv.w.x ft2,t5
 flt.s t5,ft1,ft2
 beqz t5,1f
 fcvt.w.s t5,ft0,dyn
 fcvt.s.w ft1,t5
 fsgnj.s ft0,ft1,ft0
 j 2f
1: fadd.s ft0,ft0,ft0
 fget ft1,15
 feq.s t5,ft1,ft1
 beqz t5,2f
 fmv.s ft0,ft1
2: fsrm t6
 j fput
fround_d: fget ft0,15
 set_mode
 fabs.d ft1,ft0
 li t5,0x433
 slli t5,t5,52
 fmv.d.x ft2,t5
 flt.d t5,ft1,ft2
 beqz t5,1f
 fcvt.l.d t5,ft0,dyn
 fcvt.d.l ft1,t5
 fsgnj.d ft0,ft1,ft0
 j 2f
1: fadd.d ft0,ft0,ft0
 fget ft1,15
 feq.d t5,ft1,ft1
 beqz t5,2f
 fmv.d ft0,ft1
2: fsrm t6
 j fput
 .balign 8
fli_table: .quad 0xbff0000000000000,0x0010000000000000,0x3ef0000000000000,0x3f00000000000000
 .quad 0x3f70000000000000,0x3f80000000000000,0x3fb0000000000000,0x3fc0000000000000
 .quad 0x3fd0000000000000,0x3fd4000000000000,0x3fd8000000000000,0x3fdc000000000000
 .quad 0x3fe0000000000000,0x3fe4000000000000,0x3fe8000000000000,0x3fec000000000000
 .quad 0x3ff0000000000000,0x3ff4000000000000,0x3ff8000000000000,0x3ffc000000000000
 .quad 0x4000000000000000,0x4004000000000000,0x4008000000000000,0x4010000000000000
 .quad 0x4020000000000000,0x4030000000000000,0x4060000000000000,0x4070000000000000
 .quad 0x40e0000000000000,0x40f0000000000000,0x7ff0000000000000,0x7ff8000000000000
altstack: .quad ALTSTACK
 .quad 0
 .quad ALTSTACK_SIZE
action: .quad handler-start+STUB
 .quad 0x48000004
 .quad 0
timer: .quad 0,TICK_US,0,TICK_US
descriptor: .word 0
program: .word 0
signals: .byte 4,5,7,8,11,26,0
 .balign 16
# Without Zfa a float is rounded through an integer; from 2^mantissa on it is one already, a NaN is made quiet.
.macro rounding name mode
lib_\name\()F32: fabs.s ft0,fa0
 lui t0,0x4b000
 fmv.w.x ft1,t0
 flt.s t0,ft0,ft1
 beqz t0,1f
 fcvt.w.s t0,fa0,\mode
 fcvt.s.w ft0,t0
 fsgnj.s fa0,ft0,fa0
 ret
1: feq.s t0,fa0,fa0
 bnez t0,3f
 fadd.s fa0,fa0,fa0
3: ret
lib_\name\()F64: fabs.d ft0,fa0
 li t0,0x433
 slli t0,t0,52
 fmv.d.x ft1,t0
 flt.d t0,ft0,ft1
 beqz t0,2f
 fcvt.l.d t0,fa0,\mode
 fcvt.d.l ft0,t0
 fsgnj.d fa0,ft0,fa0
2: feq.d t0,fa0,fa0
 bnez t0,3f
 fadd.d fa0,fa0,fa0
3: ret
.endm
libcalls:
 rounding Ceil rup
 rounding Floor rdn
 rounding Trunc rtz
 rounding Nearest rne
lib_FmaF32: fmadd.s fa0,fa0,fa1,fa2
 ret
lib_FmaF64: fmadd.d fa0,fa0,fa1,fa2
 ret
lib_Memset: mv t0,a0
1: beqz a2,2f
 sb a1,0(t0)
 addi t0,t0,1
 addi a2,a2,-1
 j 1b
2: ret
lib_Memcpy:
lib_Memmove: sub t0,a0,a1
 bltu t0,a2,3f
 mv t0,a0
1: beqz a2,2f
 lbu t1,0(a1)
 sb t1,0(t0)
 addi a1,a1,1
 addi t0,t0,1
 addi a2,a2,-1
 j 1b
2: ret
3: beqz a2,2b
 addi a2,a2,-1
 add t0,a1,a2
 lbu t1,0(t0)
 add t0,a0,a2
 sb t1,0(t0)
 j 3b
lib_Memcmp: beqz a2,1f
 lbu t0,0(a0)
 lbu t1,0(a1)
 addi a0,a0,1
 addi a1,a1,1
 addi a2,a2,-1
 sub t0,t0,t1
 beqz t0,lib_Memcmp
 mv a0,t0
 ret
1: li a0,0
 ret
