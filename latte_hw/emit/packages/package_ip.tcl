@{heading}
#   vivado -mode batch -source @{script} [-tclargs FOLDER]
#
# FOLDER, @{folder} beside this script unless given, gets the IP: add it to a project's `ip_repo_paths`. A project for
# packaging lies in FOLDER/project meanwhile; it may be removed.

set here [file dirname [file normalize [info script]]]
set folder [file join $here @{folder}]
if {[info exists argv] && [llength $argv] > 0} {
    set folder [file normalize [lindex $argv 0]]
}

set sources {}
foreach name {@{files}} {
    lappend sources [file join $here $name]
}

create_project -force package [file join $folder project]
add_files -norecurse $sources
set_property top @{ip_top} [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $folder -vendor @{vendor} -library @{library} -taxonomy /UserIP -import_files \
    -set_current true -force
set core [ipx::current_core]
set_property name @{name} $core
set_property version @{version} $core
set_property core_revision @{revision} $core
set_property display_name {@{title}} $core
set_property description {Attention with threshold-pruned keys. Configuration sha256 @{sha256}} $core
set_property supported_families {} $core
set_property auto_family_support_level level_2 $core

# An interface that the attributes in @{wrapper} have led Vivado to is completed, one that it has missed is added.
proc interface {name mode type abstraction ports parameters} {
    global core
    set bus [ipx::get_bus_interfaces -quiet $name -of_objects $core]
    if {$bus eq ""} {
        set bus [ipx::add_bus_interface $name $core]
    }
    set_property bus_type_vlnv $type $bus
    set_property abstraction_type_vlnv $abstraction $bus
    set_property interface_mode $mode $bus
    foreach {logical physical} $ports {
        set map [ipx::get_port_maps -quiet $logical -of_objects $bus]
        if {$map eq ""} {
            set map [ipx::add_port_map $logical $bus]
        }
        set_property physical_name $physical $map
    }
    foreach {parameter value} $parameters {
        set found [ipx::get_bus_parameters -quiet $parameter -of_objects $bus]
        if {$found eq ""} {
            set found [ipx::add_bus_parameter $parameter $bus]
        }
        set_property value $value $found
    }
}

@{interfaces}

ipx::remove_all_memory_map $core
set map [ipx::add_memory_map @{register_bus} $core]
set_property slave_memory_map_ref @{register_bus} [ipx::get_bus_interfaces @{register_bus} -of_objects $core]
set block [ipx::add_address_block registers $map]
set_property usage register $block
set_property base_address 0 $block
set_property range @{register_bytes} $block
set_property width 32 $block

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
