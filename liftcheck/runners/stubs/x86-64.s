# x86-64: the loop that calls rows, the server around it for a process of its own, library calls.
# A row: 0 trampoline (0 ends), 8 stack pointer, 16 next row, 24 callee (read by the trampoline), 32 signal, 40 pc,
#   48 si_addr, 56 si_code, 64 what the trampoline found changed in the stack pointer (0: nothing), then from 80 arguments
#   and results, which only the trampoline and the host know.
# The control block: 0 current row, 8 bytes of code to make executable again (0: none), 16 row at the last tick, 24 ticks,
#   32 tick limit, byte 40: calls into the host are answered, 48 scratch, 64 integer noise and canaries, 320 the same
#   for vector registers (32 x 16 bytes), 1024 the server's byte.
#   Byte 42: the kernel takes no system call from elsewhere than this page any more.
# Labels: start enters (again), done ends a batch (Unicorn's `until`), bad is the trap that means ABI damage,
#   server is the entry of the ELF file, launch that of the one that starts another program with a filter. Written into
#   the file: descriptor, the number of the shared memory's file; program, that of the ELF file itself; socket, that of
#   the launcher's socket; filter, the number of its rules (0: none), and rules.
.intel_syntax noprefix
start: movabs r11, CONTROL
 mov r10,[r11]
 mov rax,[r10]
 test rax,rax
 jz done
 mov [r11+48],rax
 mov rsp,[r10+8]
 push 0x202
 popfq
 .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
 movups xmm\n,[r11+320+16*\n]
 .endr
 mov rax,[r11+64]
 mov rbx,[r11+72]
 mov rbp,[r11+80]
 mov r12,[r11+88]
 mov r13,[r11+96]
 mov r14,[r11+104]
 mov r15,[r11+112]
 mov rcx,[r11+120]
 mov rdx,[r11+128]
 mov rsi,[r11+136]
 mov rdi,[r11+144]
 mov r8,[r11+152]
 mov r9,[r11+160]
 mov r10,[r11+168]
 mov r11,[r11+176]
 call [rip+start+CONTROL-STUB+48]
 movabs r11, CONTROL
 mov r10,[r11]
 xor rbx,[r11+72]
 xor rbp,[r11+80]
 xor r12,[r11+88]
 xor r13,[r11+96]
 xor r14,[r11+104]
 xor r15,[r11+112]
 or rbx,rbp
 or r12,r13
 or r14,r15
 or rbx,[r10+64]
 xor rsp,[r10+8]
 or rbx,r12
 or r14,rsp
 or rbx,r14
 jnz bad
 mov rax,[r10+16]
 mov [r11],rax
 jmp start
bad: ud2
done: jmp answer
 nop

# The server: every region of the arena is a shared mapping of one file, unmapped gaps guard them.
server: mov eax,157
 mov edi,1
 mov esi,9
 syscall
 movabs rdi, ARENA
 mov esi, STUB-ARENA
 mov edx, 5
 xor r9d,r9d
 call map
 movabs rdi, CONTROL
 mov esi, 0x100000+ROWS_SIZE
 mov edx, 3
 mov r9d, CONTROL-ARENA
 call map
 movabs rdi, STACK
 mov esi, STACK_SIZE
 mov edx, 3
 mov r9d, STACK-ARENA
 call map
 movabs rbx, DATA
 mov r12d, DATA-ARENA
 mov r13d, SLOTS
1: mov rdi,rbx
 mov esi, SLOT_SIZE
 mov edx,3
 mov r9,r12
 call map
 add rbx, SLOT_STRIDE
 add r12, SLOT_STRIDE
 dec r13d
 jnz 1b
 mov eax,131
 lea rdi,[rip+altstack]
 xor esi,esi
 syscall
 lea rbx,[rip+signals]
2: movzx edi, byte ptr [rbx]
 test edi,edi
 jz 3f
 mov eax,13
 lea rsi,[rip+action]
 xor edx,edx
 mov r10d,8
 syscall
 inc rbx
 jmp 2b
3: mov eax,38
 mov edi,1
 lea rsi,[rip+timer]
 xor edx,edx
 syscall
# No file but the two pipes, no new privileges, the filter.
 mov eax,3
 mov edi,[rip+descriptor]
 syscall
 mov eax,3
 mov edi,[rip+program]
 syscall
 call unprivileged
 mov esi,4
 call confine
 test eax,eax
 setz al
 movabs rcx, CONTROL+42
 mov [rcx],al
answer: mov eax,1
 mov edi,1
 movabs rsi, CONTROL+1024
 mov edx,1
 syscall
 xor eax,eax
 xor edi,edi
 movabs rsi, CONTROL+1024
 mov edx,1
 syscall
 cmp eax,1
 jne quit
 movabs r11, CONTROL
 mov rsi,[r11+8]
 test rsi,rsi
 jz 4f
 movabs rdi, ARENA
 mov edx,3
 mov eax,10
 syscall
 movabs r11, CONTROL
 mov rsi,[r11+8]
 movabs rdi, ARENA
 mov edx,5
 mov eax,10
 syscall
4: movabs r11, CONTROL
 mov qword ptr [r11+16],0
 mov qword ptr [r11+24],0
 jmp start
map: mov r10d,0x11
 mov r8d,[rip+descriptor]
 mov eax,9
 syscall
 cmp rax,rdi
 jne quit
 ret
quit: mov eax,231
 mov edi,9
 syscall
unprivileged: mov eax,157
 mov edi,38
 mov esi,1
 xor edx,edx
 xor r10d,r10d
 xor r8d,r8d
 syscall
 ret
# confine(rsi flags): the filter becomes this process's.
confine: mov eax,317
 mov edi,1
 lea rdx,[rip+filter]
 syscall
 ret

# The launcher: argv[1] … is the program to start. Its filter asks whoever holds the listener, which goes through the
# socket with the eight bytes of what seccomp said.
launch: mov r12,[rsp]
 lea r13,[rsp+16]
 lea r14,[rsp+8*r12+16]
 mov eax,157
 mov edi,1
 mov esi,9
 syscall
 mov eax,3
 mov edi,[rip+program]
 syscall
 call unprivileged
 mov esi,12
 call confine
 sub rsp,128
 mov [rsp],rax
 mov [rsp+8],rsp
 mov qword ptr [rsp+16],8
 mov qword ptr [rsp+24],20
 mov dword ptr [rsp+32],1
 mov dword ptr [rsp+36],1
 mov [rsp+40],rax
 xor ecx,ecx
 mov [rsp+48],rcx
 mov [rsp+56],rcx
 mov [rsp+96],rcx
 mov qword ptr [rsp+72],1
 lea rdx,[rsp+8]
 mov [rsp+64],rdx
 lea rdx,[rsp+24]
 mov [rsp+80],rdx
 test rax,rax
 js 1f
 mov ecx,24
1: mov [rsp+88],rcx
 mov eax,46
 mov edi,[rip+socket]
 lea rsi,[rsp+48]
 xor edx,edx
 syscall
 mov eax,3
 mov edi,[rip+socket]
 syscall
 mov eax,59
 mov rdi,[r13]
 mov rsi,r13
 mov rdx,r14
 syscall
 jmp quit

# handler(rdi signal, rsi siginfo, rdx ucontext): a tick counts while the row stays the same, all else ends the row. Of a
# system call that the filter stopped (31) the row gets its number and architecture for si_code.
handler: movabs r11, CONTROL
 mov r10,[r11]
 cmp edi,26
 jne 6f
 cmp r10,[r11+16]
 je 5f
 mov [r11+16],r10
 mov qword ptr [r11+24],0
 ret
5: inc qword ptr [r11+24]
 mov rax,[r11+24]
 cmp rax,[r11+32]
 jb 7f
 mov rax,[rdx+168]
 movabs rcx, ARENA
 sub rax,rcx
 cmp rax,STUB-ARENA
 jae 7f
6: mov [r10+32],rdi
 mov rax,[rdx+168]
 mov [r10+40],rax
 mov rax,[rsi+16]
 mov [r10+48],rax
 movsxd rax,dword ptr [rsi+8]
 cmp edi,31
 cmove rax,[rsi+24]
 mov [r10+56],rax
 mov rax,[r10+16]
 mov [r11],rax
 jmp start
7: ret
restorer: mov eax,15
 syscall
 .balign 8
altstack: .quad ALTSTACK
 .quad 0
 .quad ALTSTACK_SIZE
action: .quad handler-start+STUB
 .quad 0x4c000004
 .quad restorer-start+STUB
 .quad 0
timer: .quad 0,TICK_US,0,TICK_US
filter: .quad 0
 .quad rules-start+STUB
rules: .fill 48,8,0
descriptor: .long 0
program: .long 0
socket: .long 0
signals: .byte 4,5,7,8,11,26,31,0

# Library calls, convention system_v.
 .balign 16
libcalls:
lib_CeilF32: roundss xmm0,xmm0,10
 ret
lib_CeilF64: roundsd xmm0,xmm0,10
 ret
lib_FloorF32: roundss xmm0,xmm0,9
 ret
lib_FloorF64: roundsd xmm0,xmm0,9
 ret
lib_TruncF32: roundss xmm0,xmm0,11
 ret
lib_TruncF64: roundsd xmm0,xmm0,11
 ret
lib_NearestF32: roundss xmm0,xmm0,8
 ret
lib_NearestF64: roundsd xmm0,xmm0,8
 ret
# FMA3 where the host has it (native); Unicorn lacks it and asks the host: int 0x81, 0x82.
lib_FmaF32: movabs rax, CONTROL+40
 test byte ptr [rax],1
 jnz 1f
 vfmadd213ss xmm0,xmm1,xmm2
 ret
1: int 0x81
 ret
lib_FmaF64: movabs rax, CONTROL+40
 test byte ptr [rax],1
 jnz 1f
 vfmadd213sd xmm0,xmm1,xmm2
 ret
1: int 0x82
 ret
lib_X86Pshufb: pshufb xmm0,xmm1
 ret
lib_Memcpy: mov rax,rdi
 mov rcx,rdx
 rep movsb
 ret
lib_Memset: mov r8,rdi
 mov eax,esi
 mov rcx,rdx
 rep stosb
 mov rax,r8
 ret
lib_Memmove: mov rax,rdi
 mov rcx,rdi
 sub rcx,rsi
 cmp rcx,rdx
 mov rcx,rdx
 jb 1f
 rep movsb
 ret
1: lea rdi,[rdi+rdx-1]
 lea rsi,[rsi+rdx-1]
 std
 rep movsb
 cld
 ret
lib_Memcmp: xor ecx,ecx
1: cmp rcx,rdx
 je 2f
 movzx eax, byte ptr [rdi+rcx]
 movzx r8d, byte ptr [rsi+rcx]
 inc rcx
 sub eax,r8d
 jz 1b
 ret
2: xor eax,eax
 ret
# rax: the frame's size; touches each page below the stack pointer, keeps every register but r11.
lib_Probestack: push rax
 lea r11,[rsp+16]
1: cmp rax,0x1000
 jbe 2f
 sub r11,0x1000
 test [r11],r11
 sub rax,0x1000
 jmp 1b
2: sub r11,rax
 test [r11],r11
 pop rax
 ret
