# Stands for Vivado: tclsh vivado_mock.tcl SCRIPT ?BUS ...?
#
# Has those of Vivado's commands and properties that the script may use; anything else is Tcl's own error. BUS are the
# interfaces that package_project has found by itself. Prints what was done, a line each, words separated by tabs.

set script [lindex $argv 0]
set inferred [lrange $argv 1 end]
set argv {}
array set exists {}

proc done {args} { puts [join $args "\t"] }

proc create_project {force name folder} { done create_project $name $folder }
proc add_files {norecurse names} { foreach name $names { done source $name } }
proc current_fileset {} { return fileset }
proc update_compile_order {option set} {}
proc close_project {} { done close_project }

namespace eval ipx {}

proc ipx::package_project {args} {
    global exists inferred
    done package_project {*}$args
    foreach name $inferred { set exists(bus/$name) 1 }
    set exists(core) 1
}
proc ipx::current_core {} { return core }
foreach command {create_xgui_files update_checksums check_integrity save_core remove_all_memory_map} {
    proc ipx::$command {core} "must_exist \$core; done $command"
}

proc must_exist {object} {
    global exists
    if {![info exists exists($object)]} { error "there is no object '$object'" }
}
proc add {object} {
    global exists
    if {[info exists exists($object)]} { error "$object is there already" }
    set exists($object) 1
    return $object
}
proc get {quiet object} {
    global exists
    if {[info exists exists($object)]} { return $object }
    if {$quiet eq "-quiet"} { return "" }
    error "there is no $object"
}

proc ipx::get_bus_interfaces {args} {
    set quiet [expr {[lindex $args 0] eq "-quiet" ? "-quiet" : ""}]
    return [get $quiet bus/[lindex $args end-2]]
}
proc ipx::add_bus_interface {name core} { must_exist $core; return [add bus/$name] }
proc ipx::get_port_maps {quiet logical of bus} { return [get $quiet map/$bus/$logical] }
proc ipx::add_port_map {logical bus} { must_exist $bus; return [add map/$bus/$logical] }
proc ipx::get_bus_parameters {quiet name of bus} { return [get $quiet parameter/$bus/$name] }
proc ipx::add_bus_parameter {name bus} { must_exist $bus; return [add parameter/$bus/$name] }
proc ipx::add_memory_map {name core} { must_exist $core; return [add memory/$name] }
proc ipx::add_address_block {name map} { must_exist $map; return [add block/$map/$name] }

array set properties {
    fileset   {top}
    core      {name version core_revision display_name description supported_families auto_family_support_level}
    bus       {bus_type_vlnv abstraction_type_vlnv interface_mode slave_memory_map_ref}
    map       {physical_name}
    parameter {value}
    block     {usage base_address range width}
}

proc set_property {name value object} {
    global properties
    if {$object ne "fileset"} { must_exist $object }
    set kind [lindex [split $object /] 0]
    if {$name ni $properties($kind)} { error "$kind has no property '$name'" }
    done property $object $name $value
}

source $script
