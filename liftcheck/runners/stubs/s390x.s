# s390x: the loop that calls rows, the server around it, library calls. Rows, control block, labels: see x86-64.s.
.macro addr r, v
 llihf \r, (\v)>>32
 oilf \r, (\v)&0xffffffff
.endm
start: addr %r1, CONTROL
 lg %r14,0(%r1)
 lg %r15,8(%r14)
 ltg %r14,0(%r14)
 jz done
 vlm %v0,%v15,320(%r1)
 vlm %v16,%v31,576(%r1)
 lmg %r2,%r13,64(%r1)
 lg %r0,160(%r1)
 lg %r1,168(%r1)
 basr %r14,%r14
 addr %r1, CONTROL
 lg %r14,0(%r1)
 xg %r6,96(%r1)
 xg %r7,104(%r1)
 xg %r8,112(%r1)
 xg %r9,120(%r1)
 xg %r10,128(%r1)
 xg %r11,136(%r1)
 xg %r12,144(%r1)
 xg %r13,152(%r1)
 xg %r15,8(%r14)
 og %r6,64(%r14)
 ogr %r6,%r7
 ogr %r8,%r9
 ogr %r10,%r11
 ogr %r12,%r13
 ogr %r6,%r15
 ogr %r6,%r8
 ogr %r10,%r12
 ogr %r6,%r10
 .irp n,8,9,10,11,12,13,14,15
 lgdr %r0,%f\n
 xg %r0,320+16*\n(%r1)
 ogr %r6,%r0
 .endr
 ltgr %r6,%r6
 jnz bad
 lg %r0,16(%r14)
 stg %r0,0(%r1)
 j start
bad: .short 0
done: j answer
 nopr

server: lghi %r2,1
 lghi %r3,9
 svc 172
 larl %r7,areas
1: lgr %r2,%r7
 bras %r14,map
 aghi %r7,48
 larl %r1,areas_end
 cgr %r7,%r1
 jl 1b
 addr %r8, DATA
 addr %r9, DATA-ARENA
 lghi %r10, SLOTS
 addr %r13, CONTROL+2048
2: stg %r8,0(%r13)
 lghi %r0, SLOT_SIZE
 stg %r0,8(%r13)
 lghi %r0,3
 stg %r0,16(%r13)
 lghi %r0,0x11
 stg %r0,24(%r13)
 larl %r1,descriptor
 lgf %r0,0(%r1)
 stg %r0,32(%r13)
 stg %r9,40(%r13)
 lgr %r2,%r13
 bras %r14,map
 aghi %r8,SLOT_STRIDE
 aghi %r9,SLOT_STRIDE
 brctg %r10,2b
 larl %r2,altstack
 lghi %r3,0
 svc 186
 larl %r9,signals
3: llgc %r2,0(%r9)
 ltgr %r2,%r2
 jz 4f
 larl %r3,action
 lghi %r4,0
 lghi %r5,8
 svc 174
 aghi %r9,1
 j 3b
4: lghi %r2,1
 larl %r3,timer
 lghi %r4,0
 svc 104
 larl %r1,descriptor
 lgf %r2,0(%r1)
 svc 6
 larl %r1,program
 lgf %r2,0(%r1)
 svc 6
answer: lghi %r2,1
 addr %r3, CONTROL+1024
 lghi %r4,1
 svc 4
 lghi %r2,0
 addr %r3, CONTROL+1024
 lghi %r4,1
 svc 3
 cghi %r2,1
 jne quit
 addr %r1, CONTROL
 ltg %r3,8(%r1)
 jz 5f
 addr %r2, ARENA
 lghi %r4,3
 svc 125
 addr %r1, CONTROL
 lg %r3,8(%r1)
 addr %r2, ARENA
 lghi %r4,5
 svc 125
5: addr %r1, CONTROL
 lghi %r0,0
 stg %r0,16(%r1)
 stg %r0,24(%r1)
 j start
# map(r2 the six words of mmap): the address must be the one that was asked for.
map: lg %r11,0(%r2)
 svc 90
 cgr %r2,%r11
 ber %r14
quit: lghi %r2,9
 svc 248

# handler(r2 signal, r3 siginfo, r4 ucontext); psw address at 48.
handler: addr %r1, CONTROL
 lg %r5,0(%r1)
 cghi %r2,26
 jne 7f
 cg %r5,16(%r1)
 je 6f
 stg %r5,16(%r1)
 lghi %r0,0
 stg %r0,24(%r1)
 br %r14
6: lg %r0,24(%r1)
 aghi %r0,1
 stg %r0,24(%r1)
 clg %r0,32(%r1)
 blr %r14
 lg %r0,48(%r4)
 addr %r1, ARENA
 sgr %r0,%r1
 clgfi %r0,STUB-ARENA
 bher %r14
 addr %r1, CONTROL
7: stg %r2,32(%r5)
 lg %r0,48(%r4)
 stg %r0,40(%r5)
 lg %r0,16(%r3)
 stg %r0,48(%r5)
 lgf %r0,8(%r3)
 stg %r0,56(%r5)
 lg %r0,16(%r5)
 stg %r0,0(%r1)
 j start
restorer: svc 173
 .balign 8
areas: .quad ARENA,STUB-ARENA,5,0x11
 .long 0
descriptor: .long 0
 .quad 0
 .quad CONTROL,0x100000+ROWS_SIZE,3,0x11
 .long 0
descriptor_2: .long 0
 .quad CONTROL-ARENA
 .quad STACK,STACK_SIZE,3,0x11
 .long 0
descriptor_3: .long 0
 .quad STACK-ARENA
areas_end:
altstack: .quad ALTSTACK
 .quad 0
 .quad ALTSTACK_SIZE
action: .quad handler-start+STUB
 .quad 0x4c000004
 .quad restorer-start+STUB
 .quad 0
timer: .quad 0,TICK_US,0,TICK_US
program: .long 0
signals: .byte 4,5,7,8,11,26,0
 .balign 16
libcalls:
lib_CeilF32: fiebr %f0,6,%f0
 br %r14
lib_CeilF64: fidbr %f0,6,%f0
 br %r14
lib_FloorF32: fiebr %f0,7,%f0
 br %r14
lib_FloorF64: fidbr %f0,7,%f0
 br %r14
lib_TruncF32: fiebr %f0,5,%f0
 br %r14
lib_TruncF64: fidbr %f0,5,%f0
 br %r14
lib_NearestF32: fiebr %f0,4,%f0
 br %r14
lib_NearestF64: fidbr %f0,4,%f0
 br %r14
lib_FmaF32: maebr %f4,%f0,%f2
 ler %f0,%f4
 br %r14
lib_FmaF64: madbr %f4,%f0,%f2
 ldr %f0,%f4
 br %r14
lib_Memset: lgr %r1,%r2
1: ltgr %r4,%r4
 ber %r14
 stc %r3,0(%r1)
 aghi %r1,1
 aghi %r4,-1
 j 1b
lib_Memcpy:
lib_Memmove: lgr %r1,%r2
 sgr %r1,%r3
 clgr %r1,%r4
 jl 2f
 lgr %r1,%r2
1: ltgr %r4,%r4
 ber %r14
 llgc %r0,0(%r3)
 stc %r0,0(%r1)
 aghi %r1,1
 aghi %r3,1
 aghi %r4,-1
 j 1b
2: ltgr %r4,%r4
 ber %r14
 aghi %r4,-1
 llgc %r0,0(%r4,%r3)
 stc %r0,0(%r4,%r2)
 j 2b
lib_Memcmp: ltgr %r4,%r4
 jz 1f
 llgc %r0,0(%r2)
 llgc %r1,0(%r3)
 aghi %r2,1
 aghi %r3,1
 aghi %r4,-1
 sgr %r0,%r1
 jz lib_Memcmp
 lgr %r2,%r0
 br %r14
1: lghi %r2,0
 br %r14
